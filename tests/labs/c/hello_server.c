/* hello_server PORT [--no-reuse-address]: greet one TCP client and end. */
#include <netinet/in.h>
#include <signal.h>
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

static int listen_on(int port, bool reuse_address)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == -1)
        fail("socket");
    if (reuse_address && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1)
        fail("bind");
    if (listen(listener, 5) == -1)
        fail("listen");
    return listener;
}

int main(int argc, char *argv[])
{
    bool reuse_address = !(argc == 3 && strcmp(argv[2], "--no-reuse-address") == 0);
    int port = argc == 2 || !reuse_address ? to_port(argv[1]) : 0;
    if (port == 0) {
        fprintf(stderr, "usage: hello_server PORT [--no-reuse-address]\n");
        return 2;
    }
    signal(SIGINT, interrupted);
    int listener = listen_on(port, reuse_address);
    int client = accept(listener, NULL, NULL);
    if (client == -1)
        fail("accept");
    const char message[] = "Hello World~\n";
    if (send(client, message, strlen(message), MSG_NOSIGNAL) == -1) /* without the zero byte at its end */
        fail("send");
    close(client);
    close(listener);
    return 0;
}
