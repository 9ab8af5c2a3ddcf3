/* message_server PORT: receive a message of each TCP client, one after another, and say in how many pieces it came. */
#include "lab.h"

static void serve(int client)
{
    static char data[65536];
    size_t size = 0;
    int pieces = 0;
    ssize_t received;
    while ((received = recv(client, data, sizeof data, 0)) > 0) {
        printf("recv = %zd\n", received);
        size += (size_t)received;
        pieces++;
    }
    char answer[64];
    int length = snprintf(answer, sizeof answer, "%zu bytes in %d %s\n", size, pieces, pieces == 1 ? "piece" : "pieces");
    if (received == -1 || !send_all(client, answer, (size_t)length))
        perror("client"); /* one that breaks its connection is no reason to end */
}

int main(int argc, char *argv[])
{
    int port = argc == 2 ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("message_server PORT");
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
