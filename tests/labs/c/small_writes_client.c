/* small_writes_client HOST PORT [--no-delay] [--one-write]: send a line, byte by byte, and time its answer. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
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

static int connect_to(const char *host, const char *port, bool no_delay)
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
    if (no_delay && setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    if (connect(server, found->ai_addr, found->ai_addrlen) == -1)
        fail("connect");
    freeaddrinfo(found);
    return server;
}

/* A line of the server, without its newline. */
static void receive_line(int server, char *line, size_t size)
{
    size_t length = 0;
    do {
        ssize_t received = recv(server, line + length, size - length, 0);
        if (received == -1)
            fail("recv");
        if (received == 0) {
            fprintf(stderr, "recv: the server has closed the connection\n");
            exit(1);
        }
        length += (size_t)received;
    } while (line[length - 1] != '\n' && length < size);
    line[length - 1] = '\0';
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char *argv[])
{
    bool no_delay = false, one_write = false, wrong = argc < 3 || !is_host(argv[1]) || !is_port(argv[2]);
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--no-delay") == 0)
            no_delay = true;
        else if (strcmp(argv[i], "--one-write") == 0)
            one_write = true;
        else
            wrong = true;
    }
    if (wrong) {
        fprintf(stderr, "usage: small_writes_client HOST PORT [--no-delay] [--one-write]\n");
        return 2;
    }
    int server = connect_to(argv[1], argv[2], no_delay);
    char answer[100];
    receive_line(server, answer, sizeof answer); /* ready */

    const char line[] = "ABCDEFGHI\n";
    size_t size = one_write ? strlen(line) : 1;
    double began = milliseconds();
    for (size_t sent = 0; sent < strlen(line); sent += size)
        if (send(server, line + sent, size, MSG_NOSIGNAL) == -1) /* so few bytes are taken whole */
            fail("send");
    receive_line(server, answer, sizeof answer);
    printf("Message from server : %s\nanswered after %.1f ms\n", answer, milliseconds() - began);
    close(server);
    return 0;
}
