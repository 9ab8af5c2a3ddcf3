// as: load_client
// fails: waiting_counts
// says: the median of the waiting times is 0 ms
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>

struct client {
	int connected, wrong, waiting, gone;
	long answers, requests;
	double since;
	char line[64];
	size_t length, back;
} *clients;

static struct pollfd *polled;
static double *waits;
static size_t count, room;
static int there, measuring;
static double think;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void note(double wait)
{
	if (count == room)
		waits = realloc(waits, (room = 2 * room + 100) * sizeof *waits);
	waits[count++] = wait;
}

static void ask(int i)
{
	struct client *c = &clients[i];

	c->length = snprintf(c->line, sizeof c->line, "%d asks %ld\n", i, c->answers);
	c->back = 0;
	c->waiting = 1;
	c->since = now();
	send(polled[i].fd, c->line, c->length, MSG_NOSIGNAL);
}

static void lose(int i)
{
	clients[i].gone = 1;
	polled[i].fd = -polled[i].fd;
}

static void serve(int i)
{
	struct client *c = &clients[i];
	char piece[64];
	ssize_t n;

	if (!c->connected) {
		int error;
		socklen_t size = sizeof error;

		getsockopt(polled[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
		if (error) {
			fprintf(stderr, "connect: %s\n", strerror(error));
			exit(1);
		}
		c->connected = 1;
		polled[i].events = POLLIN;
		ask(i);
		return;
	}
	n = recv(polled[i].fd, piece, sizeof piece, 0);
	if (n <= 0) {
		lose(i);
		return;
	}
	if (c->back + n > c->length || memcmp(c->line + c->back, piece, n)) {
		c->wrong = 1;
		lose(i);
		return;
	}
	c->back += n;
	if (c->back == c->length) {
		c->answers++;
		if (measuring) {
			c->requests++;
			note(now() - c->since);
		}
		c->waiting = 0;
		c->since = now();
	}
}

static void run(double seconds, int newcomer)
{
	double end = now() + seconds;

	while (now() < end && !(newcomer >= 0 && clients[newcomer].answers)) {
		double wake = end;
		for (int i = 0; i < there; i++) {
			struct client *c = &clients[i];
			if (!c->connected || c->waiting || c->gone)
				continue;
			if (now() >= c->since + think)
				ask(i);
			else if (c->since + think < wake)
				wake = c->since + think;
		}
		double left = wake - now();
		struct timespec t = { 0, 0 };
		if (left > 0) {
			t.tv_sec = (time_t)left;
			t.tv_nsec = (long)((left - t.tv_sec) * 1e9);
		}
		if (ppoll(polled, there, &t, NULL) > 0)
			for (int i = 0; i < there; i++)
				if (polled[i].revents)
					serve(i);
	}
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double part(double share)
{
	return count ? 1000 * waits[(size_t)(share * (count - 1))] : 0;
}

int main(int argc, char *argv[])
{
	int n = 1, connected = 0, answered = 0, wrong = 0;
	long requests = 0;
	double seconds = 1, begin;
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;

	if (argc < 3)
		return 2;
	for (int i = 3; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--clients"))
			n = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--seconds"))
			seconds = atof(argv[i + 1]);
		else if (!strcmp(argv[i], "--think"))
			think = atof(argv[i + 1]);
	}
	if (n < 1 || n > 2000 || atoi(argv[2]) < 1 || getaddrinfo(argv[1], argv[2], &hints, &found))
		return 2;
	clients = calloc(n, sizeof *clients);
	polled = calloc(n, sizeof *polled);
	for (there = 0; there < n;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(fd, found->ai_addr, found->ai_addrlen) == -1 && errno != EINPROGRESS) {
			perror("connect");
			return 1;
		}
		polled[there] = (struct pollfd){ .fd = fd, .events = POLLOUT };
		there++;
		run(0.002, there - 1);
	}
	measuring = 1;
	begin = now();
	run(seconds, -1);
	for (int i = 0; i < n; i++) {
		connected += clients[i].connected;
		answered += clients[i].answers > 0;
		wrong += clients[i].wrong;
		requests += clients[i].requests;
	}
	qsort(waits, count, sizeof *waits, order);
	printf("{\"clients\": %d, \"connected\": %d, \"answered\": %d, \"wrong\": %d, \"seconds\": %.3f, \"requests\": %ld, ",
	       n, connected, answered, wrong, now() - begin, requests);
	printf("\"wait_median\": %.3f, \"wait_95\": %.3f, \"wait_99\": %.3f, \"wait_max\": %.3f}\n", part(0.5), part(0.95),
	       part(0.99), part(1));
	return 0;
}
