/* small_writes_server PORT: receive lines from TCP clients, one after another, and answer each line with its size. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

/* Whether all of an answer could be sent. */
static bool answer(int client, size_t size)
{
    char line[32];
    int length = snprintf(line, sizeof line, "%zu bytes\n", size);
    return send(client, line, (size_t)length, MSG_NOSIGNAL) == length;
}

static void serve(int client)
{
    setsockopt(client, IPPROTO_TCP, TCP_QUICKACK, &(int){0}, sizeof(int)); /* delay every ACK */
    if (send(client, "ready\n", 6, MSG_NOSIGNAL) == -1)
        return;
    char data[1024];
    ssize_t received;
    size_t size = 0; /* of the line that is arriving */
    while ((received = recv(client, data, sizeof data, 0)) > 0) {
        printf("recv = %zd\n", received);
        for (ssize_t i = 0; i < received; i++) {
            size++;
            if (data[i] == '\n') {
                if (!answer(client, size))
                    return;
                size = 0;
            }
        }
    }
}

int main(int argc, char *argv[])
{
    int port = argc == 2 ? to_port(argv[1]) : 0;
    if (port == 0) {
        fprintf(stderr, "usage: small_writes_server PORT\n");
        return 2;
    }
    signal(SIGINT, interrupted);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listen_on(port);
    for (;;) {
        struct sockaddr_in address;
        socklen_t length = sizeof address;
        int client = accept(listener, (struct sockaddr *)&address, &length);
        if (client == -1)
            fail("accept");
        printf("connected client : %s:%d\n", inet_ntoa(address.sin_addr), ntohs(address.sin_port));
        serve(client);
        close(client);
        printf("closed client : %s:%d\n", inet_ntoa(address.sin_addr), ntohs(address.sin_port));
    }
}
