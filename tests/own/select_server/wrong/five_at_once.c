// as: select_server
// fails: twelve
// says: client 5 of twelve
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 5

int main(int argc, char **argv)
{
    struct pollfd fds[MOST];
    int n = 1;
    char line[1024];

    if (argc < 2) {
        fprintf(stderr, "usage: %s port\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int l = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    if (bind(l, (struct sockaddr *)&a, sizeof a) || listen(l, MOST)) {
        perror("bind");
        return 1;
    }
    fds[0] = (struct pollfd){.fd = l, .events = POLLIN};
    for (;;) {
        if (poll(fds + n / MOST, n - n / MOST, -1) < 0 && errno != EINTR)
            return 1;
        for (int i = n - 1; i > 0; i--) {
            if (!fds[i].revents)
                continue;
            ssize_t len = read(fds[i].fd, line, sizeof line), sent = 0;
            while (sent < len) {
                ssize_t k = write(fds[i].fd, line + sent, len - sent);
                if (k <= 0)
                    break;
                sent += k;
            }
            if (len <= 0) {
                printf("fd %d gone\n", fds[i].fd);
                close(fds[i].fd);
                fds[i] = fds[--n];
            }
        }
        if (fds[0].revents & POLLIN && n < MOST)
            fds[n++] = (struct pollfd){.fd = accept(l, NULL, NULL), .events = POLLIN};
    }
}
