/* udp_echo_server PORT [--buffer BYTES]: send every datagram back to where it came from, for ever. */
#include "lab.h"

int main(int argc, char *argv[])
{
    int port = argc > 1 ? to_port(argv[1]) : 0;
    long size = argc == 2 ? LONGEST_DATAGRAM : 0;
    if (argc == 4 && strcmp(argv[2], "--buffer") == 0)
        size = to_number(argv[3], LONGEST_DATAGRAM);
    if (port == 0 || size == 0)
        return usage("udp_echo_server PORT [--buffer BYTES]");
    signal(SIGINT, quit);

    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    bind_to(server, port);
    for (;;) {
        static char message[LONGEST_DATAGRAM];
        struct sockaddr_in sender;
        ssize_t length = recvfrom(server, message, (size_t)size, 0, (struct sockaddr *)&sender,
                                  &(socklen_t){sizeof sender});
        if (length == -1)
            fail("recvfrom");
        printf("message from %s:%d : ", inet_ntoa(sender.sin_addr), ntohs(sender.sin_port));
        print_line(message, (size_t)length);
        if (sendto(server, message, (size_t)length, 0, (struct sockaddr *)&sender, sizeof sender) == -1)
            perror("sendto"); /* a client that can't be reached is no reason to end */
    }
}
