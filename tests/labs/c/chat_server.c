/* chat_server PORT: pass on what each member of a chat says to all the others, by UDP; ten members at the most. */
#include "lab.h"

#define MEMBERS 10
#define PREFIX (sizeof "255.255.255.255: 65535>> " - 1)

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
    if (port == 0)
        return usage("chat_server PORT");
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGINT, quit);

    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    bind_to(server, port);
    struct sockaddr_in members[MEMBERS];
    int number = 0;
    for (;;) {
        static char text[LONGEST_DATAGRAM], message[LONGEST_DATAGRAM - PREFIX];
        struct sockaddr_in sender;
        ssize_t length = recvfrom(server, message, sizeof message, 0, (struct sockaddr *)&sender,
                                  &(socklen_t){sizeof sender});
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
