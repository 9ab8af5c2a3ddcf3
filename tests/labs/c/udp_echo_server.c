/* udp_echo_server PORT [--buffer BYTES]: send every datagram back to where it came from, for ever. */
#include <arpa/inet.h>
#include <signal.h>
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

static void interrupted(int number)
{
    (void)number;
    _exit(0);
}

/* The number from 1 to `most` that a text names, or 0. */
static int to_number(const char *text, int most)
{
    char *end;
    long number = strtol(text, &end, 10);
    return *end == '\0' && 1 <= number && number <= most ? (int)number : 0;
}

static int bind_to(int port)
{
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(server, (struct sockaddr *)&address, sizeof address) == -1)
        fail("bind");
    return server;
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? to_number(argv[1], 65535) : 0;
    int size = argc == 4 && strcmp(argv[2], "--buffer") == 0 ? to_number(argv[3], LONGEST) : argc == 2 ? LONGEST : 0;
    if (port == 0 || size == 0) {
        fprintf(stderr, "usage: udp_echo_server PORT [--buffer BYTES]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupted}, NULL);

    int server = bind_to(port);
    for (;;) {
        static char message[LONGEST];
        struct sockaddr_in sender;
        socklen_t sender_size = sizeof sender;
        ssize_t length = recvfrom(server, message, (size_t)size, 0, (struct sockaddr *)&sender, &sender_size);
        if (length == -1)
            fail("recvfrom");
        printf("message from %s:%d : ", inet_ntoa(sender.sin_addr), ntohs(sender.sin_port));
        fwrite(message, 1, (size_t)length, stdout);
        printf("\n");
        if (sendto(server, message, (size_t)length, 0, (struct sockaddr *)&sender, sender_size) == -1)
            perror("sendto"); /* a client that can't be reached is no reason to end */
    }
}
