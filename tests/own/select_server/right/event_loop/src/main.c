#include "loop.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 16384
struct client { char pending[ROOM]; size_t from, to; };

static void gone(int fd, struct client *c) {
    loop_remove(fd);
    close(fd);
    free(c);
    printf("closed client : %d\n", fd);
    fflush(stdout);
}
static void on_client(int fd, unsigned events, void *arg) {
    struct client *c = arg;
    (void)events;
    if (c->from == c->to) {
        c->from = c->to = 0;
        ssize_t n = read(fd, c->pending, 1024);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) { gone(fd, c); return; }
        c->to = n;
    }
    ssize_t n = send(fd, c->pending + c->from, c->to - c->from, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) { gone(fd, c); return; }
    if (n > 0) c->from += n;
    loop_change(fd, c->from < c->to ? EPOLLOUT : EPOLLIN);
}
static void on_listener(int fd, unsigned events, void *arg) {
    (void)events;
    (void)arg;
    int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
    if (c < 0) {
        static int turned;
        if (errno == EMFILE && !turned++) perror("accept");
        return;
    }
    struct client *new = calloc(1, sizeof *new);
    loop_add(c, EPOLLIN, on_client, new);
    printf("connected client : %d\n", c);
    fflush(stdout);
}
int main(int argc, char **argv) {
    if (argc < 2) { fprintf(stderr, "port?\n"); return 2; }
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(s, (struct sockaddr *)&a, sizeof a) < 0) { perror("bind"); return 1; }
    listen(s, 64);
    loop_init();
    loop_add(s, EPOLLIN, on_listener, NULL);
    loop_run();
}
