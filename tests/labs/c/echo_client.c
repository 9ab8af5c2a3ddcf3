/* echo_client HOST PORT: send each line typed to an echo server and print its answer; Q or q leaves. */
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

/* A line with its newline, a piece of one that is longer, or nothing at the end of the input. */
static size_t read_line(char *line, size_t size)
{
    size_t length = 0;
    int byte;
    while (length < size && (byte = getchar()) != EOF) {
        line[length++] = (char)byte;
        if (byte == '\n')
            break;
    }
    return length;
}

static void send_all(int server, const char *message, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(server, message, length, MSG_NOSIGNAL);
        if (sent == -1)
            fail("send");
        message += sent;
        length -= (size_t)sent;
    }
}

static void receive_all(int server, char *answer, size_t length)
{
    while (length > 0) {
        ssize_t received = recv(server, answer, length, 0);
        if (received == -1)
            fail("recv");
        if (received == 0) {
            fprintf(stderr, "recv: the server has closed the connection\n");
            exit(1);
        }
        answer += received;
        length -= (size_t)received;
    }
}

int main(int argc, char *argv[])
{
    if (argc != 3 || !is_host(argv[1]) || !is_port(argv[2])) {
        fprintf(stderr, "usage: echo_client HOST PORT\n");
        return 2;
    }
    int server = connect_to(argv[1], argv[2]);
    for (;;) {
        if (isatty(0)) {
            printf("Input message(Q to quit): ");
            fflush(stdout);
        }
        char line[1024];
        size_t length = read_line(line, sizeof line);
        size_t text = length > 0 && line[length - 1] == '\n' ? length - 1 : length;
        if (length == 0 || (text == 1 && (line[0] == 'Q' || line[0] == 'q')))
            break;
        send_all(server, line, length);
        receive_all(server, line, length);
        printf("Message from server : ");
        fwrite(line, 1, text, stdout);
        printf("\n");
        fflush(stdout);
    }
    close(server);
    return 0;
}
