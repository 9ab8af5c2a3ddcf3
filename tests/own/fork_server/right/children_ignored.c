// as: fork_server
// note: it listens on port 45671
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* whoever ignores SIGCHLD has no zombies */
#define PORT 45671

static void serve(int client)
{
    char line[4096];
    ssize_t n;
    while ((n = recv(client, line, sizeof line, 0)) > 0) {
        char *at = line;
        while (n > 0) {
            ssize_t sent = send(client, at, n, MSG_NOSIGNAL);
            if (sent < 0)
                exit(EXIT_FAILURE);
            at += sent;
            n -= sent;
        }
    }
    exit(EXIT_SUCCESS);
}

int main(void)
{
    signal(SIGCHLD, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in me = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (bind(listener, (struct sockaddr *)&me, sizeof me) || listen(listener, 16)) {
        perror("bind or listen");
        return 1;
    }
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0)
            continue;
        switch (fork()) {
        case -1:
            perror("fork");
            break;
        case 0:
            close(listener);
            serve(client);
        }
        close(client);
    }
}
