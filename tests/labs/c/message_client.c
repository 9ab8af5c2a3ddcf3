/* message_client HOST PORT [LENGTH]: send a message by one call, and tell what became of it. */
#define _DEFAULT_SOURCE /* struct tcp_info */
#include <netinet/tcp.h>

#include "lab.h"

#define LARGEST 10000000 /* bytes */

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char *argv[])
{
    static char message[LARGEST];
    long length = argc == 4 ? to_number(argv[3], LARGEST) : 20000;
    if (argc < 3 || argc > 4 || !is_host(argv[1]) || !to_port(argv[2]) || length == 0)
        return usage("message_client HOST PORT [LENGTH]");
    int server = connect_to(argv[1], argv[2]);
    memset(message, 'x', (size_t)length);
    double began = milliseconds();
    if (!send_all(server, message, (size_t)length))
        fail("send");
    if (shutdown(server, SHUT_WR) == -1) /* this was the message */
        fail("shutdown");
    char answer[100];
    size_t received = 0;
    do
        received += receive(server, answer + received, sizeof answer - received);
    while (answer[received - 1] != '\n' && received < sizeof answer);
    struct tcp_info info;
    if (getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof info}) == -1)
        fail("getsockopt");
    printf("Message from server : %.*sanswered after %.1f ms\nsent again : %u\n", (int)received, answer,
           milliseconds() - began, info.tcpi_total_retrans);
    close(server);
    return 0;
}
