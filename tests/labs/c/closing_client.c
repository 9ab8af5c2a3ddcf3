/* closing_client HOST PORT [--abort]: connect to a TCP server, then make the calls that are typed. */
#include <arpa/inet.h>
#include <netdb.h>
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

static bool is_host(const char *text)
{
    struct in_addr address; /* digits and dots: meant as an address, so it must be one */
    return strspn(text, "0123456789.") < strlen(text) || inet_pton(AF_INET, text, &address) == 1;
}

static bool is_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return *end == '\0' && 1 <= port && port <= 65535;
}

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        exit(1);
    }
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server == -1)
        fail("socket");
    if (connect(server, found->ai_addr, found->ai_addrlen) == -1)
        fail("connect");
    freeaddrinfo(found);
    return server;
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
    bool abort_it = argc == 4 && strcmp(argv[3], "--abort") == 0;
    if (argc != (abort_it ? 4 : 3) || !is_host(argv[1]) || !is_port(argv[2])) {
        fprintf(stderr, "usage: closing_client HOST PORT [--abort]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int server = connect_to(argv[1], argv[2]);
    printf("connected to %s:%s\n", argv[1], argv[2]);
    if (abort_it)
        linger_0(server);
    make_calls(server);
    return 0;
}
