/* numbered_client HOST PORT [COUNT]: send numbered datagrams, then ask the server how many of them came. */
#include <sys/time.h>

#include "lab.h"

#define TRIES 20

static void send_number(int server, const char *words, long number)
{
    char message[32];
    int length = snprintf(message, sizeof message, "%s%ld", words, number);
    if (send(server, message, (size_t)length, 0) == -1)
        fail("send");
}

int main(int argc, char *argv[])
{
    long count = argc == 4 ? to_number(argv[3], 100000) : 100;
    if (argc < 3 || argc > 4 || !is_host(argv[1]) || !to_port(argv[2]) || count == 0)
        return usage("numbered_client HOST PORT [COUNT]");
    struct sockaddr_in address = address_of(argv[1], argv[2]);
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    if (connect(server, (struct sockaddr *)&address, sizeof address) == -1)
        fail("connect");
    for (long number = 1; number <= count; number++)
        send_number(server, "", number);

    struct timeval wait = {.tv_usec = 200000};
    if (setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == -1)
        fail("setsockopt");
    for (int asked = 1; asked <= TRIES; asked++) {
        char answer[1024];
        send_number(server, "end ", count);
        ssize_t length = recv(server, answer, sizeof answer, 0);
        if (length == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
            continue;
        if (length == -1)
            fail("recv");
        printf("Message from server : ");
        print_line(answer, (size_t)length);
        printf("asked %d %s\n", asked, asked == 1 ? "time" : "times");
        return 0;
    }
    fprintf(stderr, "recv: no answer to %d questions\n", TRIES);
    return 1;
}
