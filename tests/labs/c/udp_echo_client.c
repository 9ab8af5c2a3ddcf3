/* udp_echo_client HOST PORT [--connect]: send each line typed as a datagram, print the answer; Q or q leaves. */
#include "lab.h"

int main(int argc, char *argv[])
{
    bool connected = argc == 4 && strcmp(argv[3], "--connect") == 0;
    if (argc != (connected ? 4 : 3) || !is_host(argv[1]) || !to_port(argv[2]))
        return usage("udp_echo_client HOST PORT [--connect]");
    need_stdin();
    struct sockaddr_in address = address_of(argv[1], argv[2]);
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    if (connected && connect(server, (struct sockaddr *)&address, sizeof address) == -1)
        fail("connect");

    char *line = NULL;
    size_t size = 0;
    for (;;) {
        ask("Input message(Q to quit): ");
        ssize_t read = getline(&line, &size, stdin);
        if (read == -1)
            break;
        size_t length = without_newline(line, (size_t)read);
        if (length == 1 && (*line == 'Q' || *line == 'q'))
            break;
        if (connected) {
            if (send(server, line, length, 0) == -1)
                fail("send");
        } else if (sendto(server, line, length, 0, (struct sockaddr *)&address, sizeof address) == -1) {
            fail("sendto");
        }
        static char answer[LONGEST_DATAGRAM];
        ssize_t received = recvfrom(server, answer, sizeof answer, 0, NULL, NULL);
        if (received == -1)
            fail("recvfrom");
        printf("Message from server : ");
        print_line(answer, (size_t)received);
    }
    free(line);
    close(server);
    return 0;
}
