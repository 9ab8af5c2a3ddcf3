/* chat_server PORT: pass on what each member of a chat says to all the others, by UDP; ten members at the most. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEMBERS 10
#define LONGEST 65507 /* bytes in a datagram: 65535 less the headers of IP (20) and UDP (8) */
#define PREFIX (sizeof "255.255.255.255: 65535>> " - 1)

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

/* The place of `sender` among the members, or their number if it is none. */
static int place(const struct sockaddr_in members[], int number, const struct sockaddr_in *sender)
{
    int at = 0;
    while (at < number && (members[at].sin_addr.s_addr != sender->sin_addr.s_addr ||
                           members[at].sin_port != sender->sin_port))
        at++;
    return at;
}

int main(int argc, char *argv[])
{
    int port = argc == 2 ? to_port(argv[1]) : 0;
    if (port == 0) {
        fprintf(stderr, "usage: chat_server PORT\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupted}, NULL);

    int server = bind_to(port);
    struct sockaddr_in members[MEMBERS];
    int number = 0;
    for (;;) {
        static char text[LONGEST], message[LONGEST - PREFIX];
        struct sockaddr_in sender;
        socklen_t size = sizeof sender;
        ssize_t length = recvfrom(server, message, sizeof message, 0, (struct sockaddr *)&sender, &size);
        if (length == -1)
            fail("recvfrom");
        int prefix = snprintf(text, sizeof text, "%s: %d>> ", inet_ntoa(sender.sin_addr), ntohs(sender.sin_port));
        int from = place(members, number, &sender);
        if (from == MEMBERS) {
            fprintf(stderr, "%snot added: there are %d members\n", text, MEMBERS);
            continue;
        }
        if (from == number) {
            members[number++] = sender;
            printf("nClient: %d\n", number);
        }
        memcpy(text + prefix, message, (size_t)length);
        for (int to = 0; to < number; to++)
            if (to != from && sendto(server, text, (size_t)(prefix + length), 0, (struct sockaddr *)&members[to],
                                     sizeof members[to]) == -1)
                perror("sendto"); /* a member that can't be reached is no reason to end */
    }
}
