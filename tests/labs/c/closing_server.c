/* closing_server PORT [--abort]: accept one TCP client, then make the calls that are typed. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *call)
{
    perror(call);
    exit(1);
}

static void interrupted(int number)
{
    (void)number;
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
    if (listen(listener, 5) == -1)
        fail("listen");
    return listener;
}

static void send_all(int peer, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t sent = send(peer, text, left, MSG_NOSIGNAL);
        if (sent == -1)
            fail("send");
        text += sent;
        left -= (size_t)sent;
    }
}

static void receive(int peer)
{
    char data[1024];
    ssize_t size = recv(peer, data, sizeof data, 0);
    if (size == -1)
        fail("recv");
    if (size == 0)
        printf("recv = 0 (the other side has closed)\n");
    else
        printf("recv = %zd (%.*s)\n", size, (int)size, data);
}

/* Make each call that is typed, up to `close` or the end of the input. */
static void make_calls(int peer)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) != -1 && strcmp(line, "close\n") != 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "send ", 5) == 0) {
            send_all(peer, line + 5);
            printf("send = %zu\n", strlen(line + 5));
        } else if (strcmp(line, "recv") == 0) {
            receive(peer);
        } else {
            fprintf(stderr, "type send TEXT, recv or close\n");
        }
    }
    free(line);
    close(peer);
    printf("close = 0\n");
}

/* With a linger time of 0, close() breaks the connection: it sends RST. */
static void linger_0(int peer)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == -1)
        fail("setsockopt");
}

int main(int argc, char *argv[])
{
    bool abort_it = argc == 3 && strcmp(argv[2], "--abort") == 0;
    int port = argc == 2 || abort_it ? to_port(argv[1]) : 0;
    if (port == 0) {
        fprintf(stderr, "usage: closing_server PORT [--abort]\n");
        return 2;
    }
    signal(SIGINT, interrupted);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listen_on(port);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int client = accept(listener, (struct sockaddr *)&address, &length);
    if (client == -1)
        fail("accept");
    close(listener);
    printf("connected to %s:%d\n", inet_ntoa(address.sin_addr), ntohs(address.sin_port));
    if (abort_it)
        linger_0(client);
    make_calls(client);
    return 0;
}
