/* file_server PORT [FILE] [--end HOW]: send a file to one TCP client, say that it is complete, receive its thanks. */
#include "lab.h"

#define PIECE 30 /* bytes */

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
        return usage("file_server PORT [FILE] [--end SHUT_WR|SHUT_RD|SHUT_RDWR|close|nothing]");
    FILE *file = fopen(argc == 3 ? argv[2] : __FILE__, "rb");
    if (file == NULL) {
        perror(argc == 3 ? argv[2] : __FILE__);
        return 2;
    }
    signal(SIGINT, quit);

    int listener = listen_on(port, 5);
    int client = accept(listener, NULL, NULL);
    if (client == -1)
        fail("accept");
    close(listener);
    char piece[PIECE];
    size_t length;
    while ((length = fread(piece, 1, sizeof piece, file)) > 0)
        if (!send_all(client, piece, length))
            fail("send");
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
    print_line(message, (size_t)received);
    close(client);
    return 0;
}
