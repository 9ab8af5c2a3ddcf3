/* echo_server PORT: send back to one TCP client all that it sends, and end when it leaves. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

static int listen_on(int port, int backlog)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == -1)
        fail("socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1)
        fail("bind");
    if (listen(listener, backlog) == -1)
        fail("listen");
    return listener;
}

static void send_all(int client, const char *message, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(client, message, length, MSG_NOSIGNAL);
        if (sent == -1)
            fail("send");
        message += sent;
        length -= (size_t)sent;
    }
}

int main(int argc, char *argv[])
{
    int port = argc == 2 ? to_port(argv[1]) : 0;
    if (port == 0) {
        fprintf(stderr, "usage: echo_server PORT\n");
        return 2;
    }
    signal(SIGINT, interrupted);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listen_on(port, 5);
    int client = accept(listener, NULL, NULL);
    if (client == -1)
        fail("accept");
    char message[1024];
    ssize_t received;
    while ((received = recv(client, message, sizeof message, 0)) > 0) {
        size_t length = (size_t)received;
        printf("message from client : ");
        fwrite(message, 1, message[length - 1] == '\n' ? length - 1 : length, stdout);
        printf("\n");
        send_all(client, message, length);
    }
    if (received == -1)
        fail("recv");
    close(client);
    close(listener);
    return 0;
}
