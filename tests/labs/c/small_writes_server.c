/* small_writes_server PORT: receive lines from TCP clients, one after another, and answer each line with its size. */
#include <netinet/tcp.h>

#include "lab.h"

/* Whether all of an answer could be sent. */
static bool answer(int client, size_t size)
{
    char line[32];
    int length = snprintf(line, sizeof line, "%zu bytes\n", size);
    return send(client, line, (size_t)length, MSG_NOSIGNAL) == length;
}

static void serve(int client)
{
    setsockopt(client, IPPROTO_TCP, TCP_QUICKACK, &(int){0}, sizeof(int)); /* delay every ACK */
    if (send(client, "ready\n", 6, MSG_NOSIGNAL) == -1)
        return;
    char data[1024];
    ssize_t received;
    size_t size = 0; /* of the line that is arriving */
    while ((received = recv(client, data, sizeof data, 0)) > 0) {
        printf("recv = %zd\n", received);
        for (ssize_t i = 0; i < received; i++) {
            size++;
            if (data[i] == '\n') {
                if (!answer(client, size))
                    return;
                size = 0;
            }
        }
    }
}

int main(int argc, char *argv[])
{
    int port = argc == 2 ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("small_writes_server PORT");
    signal(SIGINT, quit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listen_on(port, 5);
    for (;;) {
        struct sockaddr_in peer;
        int client = accept_from(listener, &peer);
        printf("connected client : %s:%d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
        serve(client);
        close(client);
        printf("closed client : %s:%d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
    }
}
