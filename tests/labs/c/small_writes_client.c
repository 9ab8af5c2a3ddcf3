/* small_writes_client HOST PORT [--no-delay] [--one-write]: send a line, byte by byte, and time its answer. */
#include <netinet/tcp.h>

#include "lab.h"

/* A line of the server, without its newline. */
static void receive_line(int server, char *line, size_t size)
{
    size_t length = 0;
    do
        length += receive(server, line + length, size - length);
    while (line[length - 1] != '\n' && length < size);
    line[length - 1] = '\0';
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(int argc, char *argv[])
{
    bool no_delay = false, one_write = false, wrong = argc < 3 || !is_host(argv[1]) || !to_port(argv[2]);
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--no-delay") == 0)
            no_delay = true;
        else if (strcmp(argv[i], "--one-write") == 0)
            one_write = true;
        else
            wrong = true;
    }
    if (wrong)
        return usage("small_writes_client HOST PORT [--no-delay] [--one-write]");
    int server = connect_to(argv[1], argv[2]);
    if (no_delay && setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    char answer[100];
    receive_line(server, answer, sizeof answer); /* ready */

    const char line[] = "ABCDEFGHI\n";
    size_t size = one_write ? strlen(line) : 1;
    double began = milliseconds();
    for (size_t sent = 0; sent < strlen(line); sent += size)
        if (send(server, line + sent, size, MSG_NOSIGNAL) == -1) /* so few bytes are taken whole */
            fail("send");
    receive_line(server, answer, sizeof answer);
    printf("Message from server : %s\nanswered after %.1f ms\n", answer, milliseconds() - began);
    close(server);
    return 0;
}
