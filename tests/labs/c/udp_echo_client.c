/* udp_echo_client HOST PORT [--connect]: send each line typed as a datagram, print the answer; Q or q leaves. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONGEST 65507 /* bytes in a datagram: 65535 less the headers of IP (20) and UDP (8) */

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

static struct sockaddr_in find(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        exit(1);
    }
    struct sockaddr_in address = *(struct sockaddr_in *)found->ai_addr;
    freeaddrinfo(found);
    return address;
}

/* The length of the line typed, without its newline, or -1 at the end of the input. */
static ssize_t read_line(char **line, size_t *size)
{
    if (isatty(0)) {
        printf("Input message(Q to quit): ");
        fflush(stdout);
    }
    ssize_t length = getline(line, size, stdin);
    return length > 0 && (*line)[length - 1] == '\n' ? length - 1 : length;
}

int main(int argc, char *argv[])
{
    bool connected = argc == 4 && strcmp(argv[3], "--connect") == 0;
    if (argc != (connected ? 4 : 3) || !is_host(argv[1]) || !is_port(argv[2])) {
        fprintf(stderr, "usage: udp_echo_client HOST PORT [--connect]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    struct sockaddr_in address = find(argv[1], argv[2]);
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    if (connected && connect(server, (struct sockaddr *)&address, sizeof address) == -1)
        fail("connect");

    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while ((length = read_line(&line, &size)) >= 0 && !(length == 1 && (*line == 'Q' || *line == 'q'))) {
        if (connected) {
            if (send(server, line, (size_t)length, 0) == -1)
                fail("send");
        } else if (sendto(server, line, (size_t)length, 0, (struct sockaddr *)&address, sizeof address) == -1) {
            fail("sendto");
        }
        static char answer[LONGEST];
        ssize_t received = recvfrom(server, answer, sizeof answer, 0, NULL, NULL);
        if (received == -1)
            fail("recvfrom");
        printf("Message from server : ");
        fwrite(answer, 1, (size_t)received, stdout);
        printf("\n");
    }
    free(line);
    close(server);
    return 0;
}
