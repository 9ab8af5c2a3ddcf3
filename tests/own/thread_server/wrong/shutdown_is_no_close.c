// as: thread_server
// fails: closes_descriptors
// says: 3 clients later it has
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

static long count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct client { int fd; struct sockaddr_in addr; };

static void *serve(void *arg)
{
    struct client c = *(struct client *)arg;
    char buf[1024];
    ssize_t n;
    free(arg);
    while ((n = recv(c.fd, buf, sizeof buf, 0)) > 0) {
        pthread_mutex_lock(&lock);
        long me = ++count;
        printf("message %ld from Client(%d): %.*s\n", me, ntohs(c.addr.sin_port), (int)n, buf);
        fflush(stdout);
        pthread_mutex_unlock(&lock);
        for (ssize_t k, s = 0; s < n; s += k)
            if ((k = send(c.fd, buf + s, n - s, MSG_NOSIGNAL)) < 0)
                goto out;
    }
out:
    shutdown(c.fd, SHUT_RDWR);
    return NULL;
}

int main(int argc, char **argv)
{
    int one = 1;
    if (argc != 2) { fprintf(stderr, "usage: %s PORT\n", argv[0]); return 2; }
    int ls = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
    if (bind(ls, (struct sockaddr *)&a, sizeof a)) { perror("bind"); return 1; }
    listen(ls, 10);
    for (;;) {
        struct client *c = malloc(sizeof *c);
        socklen_t l = sizeof c->addr;
        pthread_t t;
        c->fd = accept(ls, (struct sockaddr *)&c->addr, &l);
        if (c->fd < 0) { perror("accept"); free(c); sleep(1); continue; }
        if (pthread_create(&t, NULL, serve, c)) { fprintf(stderr, "no thread\n"); close(c->fd); free(c); continue; }
        pthread_detach(t);
    }
}
