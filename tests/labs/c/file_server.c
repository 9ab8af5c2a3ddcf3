/* file_server PORT [FILE] [--end HOW]: send a file to one TCP client, say that it is complete, receive its thanks. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 30 /* bytes */

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

static int usage(void)
{
    fprintf(stderr, "usage: file_server PORT [FILE] [--end SHUT_WR|SHUT_RD|SHUT_RDWR|close|nothing]\n");
    return 2;
}

static int to_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return *end == '\0' && 1 <= port && port <= 65535 ? (int)port : 0;
}

static int accept_one(int port)
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
    if (listen(listener, 5) == -1)
        fail("listen");
    int client = accept(listener, NULL, NULL);
    if (client == -1)
        fail("accept");
    close(listener);
    return client;
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

enum { CLOSE = SHUT_RDWR + 1, NOTHING, UNKNOWN };

static int to_end(const char *text)
{
    static const char *names[] = {[SHUT_RD] = "SHUT_RD", [SHUT_WR] = "SHUT_WR", [SHUT_RDWR] = "SHUT_RDWR",
                                  [CLOSE] = "close", [NOTHING] = "nothing"};
    int end = 0;
    while (end < UNKNOWN && strcmp(text, names[end]) != 0)
        end++;
    return end;
}

int main(int argc, char *argv[])
{
    int end = SHUT_WR;
    if (argc >= 4 && strcmp(argv[argc - 2], "--end") == 0) {
        end = to_end(argv[argc - 1]);
        argc -= 2;
    }
    int port = argc == 2 || argc == 3 ? to_port(argv[1]) : 0;
    if (port == 0 || end == UNKNOWN)
        return usage();
    FILE *file = fopen(argc == 3 ? argv[2] : __FILE__, "rb");
    if (file == NULL) {
        perror(argc == 3 ? argv[2] : __FILE__);
        return 2;
    }
    sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupted}, NULL);

    int client = accept_one(port);
    char piece[PIECE];
    size_t length;
    while ((length = fread(piece, 1, sizeof piece, file)) > 0)
        send_all(client, piece, length);
    if (ferror(file))
        fail("read");
    fclose(file);
    if (end == CLOSE)
        close(client);
    else if (end != NOTHING && shutdown(client, end) == -1)
        fail("shutdown");

    char message[PIECE];
    ssize_t received = recv(client, message, sizeof message, MSG_WAITALL);
    if (received == -1)
        fail("recv");
    if (received == 0) {
        fprintf(stderr, "recv: end of file, no message\n");
        return 1;
    }
    printf("message from client: ");
    fwrite(message, 1, (size_t)received, stdout);
    printf("\n");
    close(client);
    return 0;
}
