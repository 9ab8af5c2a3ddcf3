// as: select_server
// fails: at_once
// says: one had left and another had come
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <poll.h>
#include <netdb.h>
#include <arpa/inet.h>
#include <sys/socket.h>

int get_listener_socket(const char *port)
{
    int listener = -1, yes = 1, rv;
    struct addrinfo hints, *ai, *p;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    if ((rv = getaddrinfo(NULL, port, &hints, &ai)) != 0) {
        fprintf(stderr, "pollserver: %s\n", gai_strerror(rv));
        exit(1);
    }
    for (p = ai; p != NULL; p = p->ai_next) {
        listener = socket(p->ai_family, p->ai_socktype, p->ai_protocol);
        if (listener < 0) continue;
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(int));
        if (bind(listener, p->ai_addr, p->ai_addrlen) < 0) { close(listener); continue; }
        break;
    }
    freeaddrinfo(ai);
    if (p == NULL) return -1;
    if (listen(listener, 10) == -1) return -1;
    return listener;
}

void add_to_pfds(struct pollfd **pfds, int newfd, int *fd_count, int *fd_size)
{
    if (*fd_count == *fd_size) {
        *fd_size *= 2;
        *pfds = realloc(*pfds, sizeof(**pfds) * (*fd_size));
    }
    (*pfds)[*fd_count].fd = newfd;
    (*pfds)[*fd_count].events = POLLIN;
    (*pfds)[*fd_count].revents = 0;
    (*fd_count)++;
}

int main(int argc, char *argv[])
{
    int fd_count = 0, fd_size = 5;
    struct pollfd *pfds = malloc(sizeof *pfds * fd_size);
    char buf[256];
    int listener = get_listener_socket(argc > 1 ? argv[1] : "9034");
    if (listener == -1) {
        fprintf(stderr, "error getting listening socket\n");
        exit(1);
    }
    add_to_pfds(&pfds, listener, &fd_count, &fd_size);
    puts("pollserver: waiting for connections...");
    for (;;) {
        int poll_count = poll(pfds, fd_count, -1);
        if (poll_count == -1) { perror("poll"); exit(1); }
        for (int i = 0; i < fd_count; i++) {
            if (!(pfds[i].revents & (POLLIN | POLLHUP))) continue;
            if (pfds[i].fd == listener) {
                int newfd = accept(listener, NULL, NULL);
                if (newfd == -1) perror("accept");
                else add_to_pfds(&pfds, newfd, &fd_count, &fd_size);
            } else {
                int nbytes = recv(pfds[i].fd, buf, sizeof buf, 0);
                if (nbytes <= 0) {
                    close(pfds[i].fd);
                } else if (send(pfds[i].fd, buf, nbytes, 0) == -1)
                    perror("send");
            }
        }
    }
}
