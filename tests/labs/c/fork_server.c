/* fork_server PORT [--leave-zombies] [--leave-client-open] [--leave-listener-open]: echo, a process for each client. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *call)
{
    perror(call);
    exit(1);
}

/* SIGCHLD: signals don't queue, so one may stand for many children. */
static void reap(int number)
{
    int before = errno;
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = before;
}

/* SIGINT: on a terminal it has gone to the whole process group; what this sends goes there, too. */
static void end(int number)
{
    (void)number;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    _exit(0);
}

static int to_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return *end == '\0' && 1 <= port && port <= 65535 ? (int)port : 0;
}

static int listen_on(int port)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == -1)
        fail("socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1)
        fail("bind");
    if (listen(listener, SOMAXCONN) == -1)
        fail("listen");
    return listener;
}

static bool send_all(int client, const char *message, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(client, message, length, MSG_NOSIGNAL);
        if (sent == -1)
            return false;
        message += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Send back all that the client sends, until it leaves or breaks its connection. */
static void echo(int client, int port)
{
    char message[1024];
    ssize_t received;
    do {
        received = recv(client, message, sizeof message, 0);
        if (received <= 0)
            break;
        printf("Client(%d): ", port);
        fwrite(message, 1, (size_t)received - (message[received - 1] == '\n'), stdout);
        printf("\n");
        fflush(stdout);
    } while (send_all(client, message, (size_t)received));
    printf("Client(%d): is disconnected\n", port);
}

int main(int argc, char *argv[])
{
    bool leave_zombies = false, leave_client_open = false, leave_listener_open = false;
    int port = argc >= 2 ? to_port(argv[1]) : 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--leave-zombies") == 0)
            leave_zombies = true;
        else if (strcmp(argv[i], "--leave-client-open") == 0)
            leave_client_open = true;
        else if (strcmp(argv[i], "--leave-listener-open") == 0)
            leave_listener_open = true;
        else
            port = 0;
    }
    if (port == 0) {
        fprintf(stderr, "usage: fork_server PORT [--leave-zombies] [--leave-client-open] [--leave-listener-open]\n");
        return 2;
    }
    signal(SIGINT, end);
    struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_RESTART}; /* accept goes on after it */
    if (!leave_zombies && sigaction(SIGCHLD, &on_child, NULL) == -1)
        fail("sigaction");
    int listener = listen_on(port);
    for (;;) {
        struct sockaddr_in peer;
        int client = accept(listener, (struct sockaddr *)&peer, &(socklen_t){sizeof peer});
        if (client == -1)
            fail("accept");
        int client_port = ntohs(peer.sin_port);
        printf("client %s:%d is connected...\n", inet_ntoa(peer.sin_addr), client_port);
        fflush(stdout); /* or the child would have it in its buffer, too */
        pid_t child = fork();
        if (child == -1)
            perror("fork");
        if (child == 0) {
            signal(SIGINT, SIG_DFL);
            if (!leave_listener_open)
                close(listener);
            echo(client, client_port);
            close(client);
            exit(0);
        }
        if (!leave_client_open)
            close(client);
    }
}
