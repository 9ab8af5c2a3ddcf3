// as: select_server
// fails: any_length
// says: 1024 came
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void echo(int fd)
{
	char buf[1024];
	ssize_t n;

	if ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0, k; at < n; at += k > 0 ? k : 0) {
			k = send(fd, buf + at, n - at, MSG_NOSIGNAL);
			if (k < 0 && errno != EAGAIN)
				break;
		}
	}
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		printf("closed client: %d\n", fd);
		close(fd);
	}
}

int main(int argc, char *argv[])
{
	struct epoll_event event, *events = malloc(50 * sizeof(*events));
	struct sockaddr_in adr = { .sin_family = AF_INET };
	int serv = socket(PF_INET, SOCK_STREAM, 0), ep = epoll_create1(0), on = 1;

	adr.sin_port = htons(argc > 1 ? atoi(argv[1]) : 9190);
	setsockopt(serv, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(serv, (struct sockaddr *)&adr, sizeof(adr)) < 0 || listen(serv, 5) < 0)
		return 1;
	event.events = EPOLLIN;
	event.data.fd = serv;
	epoll_ctl(ep, EPOLL_CTL_ADD, serv, &event);
	for (;;) {
		int count = epoll_wait(ep, events, 50, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd != serv) {
				echo(events[i].data.fd);
				continue;
			}
			event.data.fd = accept(serv, NULL, NULL);
			fcntl(event.data.fd, F_SETFL, fcntl(event.data.fd, F_GETFL) | O_NONBLOCK);
			event.events = EPOLLIN | EPOLLET;
			epoll_ctl(ep, EPOLL_CTL_ADD, event.data.fd, &event);
		}
	}
}
