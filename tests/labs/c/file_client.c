/* file_client HOST PORT [OUTPUT]: receive a file to its end, then thank the server on the same connection. */
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

int main(int argc, char *argv[])
{
    if ((argc != 3 && argc != 4) || !is_host(argv[1]) || !is_port(argv[2])) {
        fprintf(stderr, "usage: file_client HOST PORT [OUTPUT]\n");
        return 2;
    }
    int server = connect_to(argv[1], argv[2]);
    FILE *output = fopen(argc == 4 ? argv[3] : "receive.dat", "wb");
    if (output == NULL)
        fail("open");

    char piece[1024];
    ssize_t length;
    while ((length = recv(server, piece, sizeof piece, 0)) > 0)
        if (fwrite(piece, 1, (size_t)length, output) < (size_t)length)
            fail("write");
    if (length == -1)
        fail("recv");
    if (fclose(output) == EOF)
        fail("write");
    printf("Receive file data\n");
    send_all(server, "Thank you", strlen("Thank you"));
    close(server);
    return 0;
}
