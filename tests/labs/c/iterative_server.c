/* iterative_server PORT: echo for one TCP client after another, for ever. */
#include "lab.h"

/* Send back all that the client sends, until it leaves; a connection that it breaks is over, too. */
static void echo(int client)
{
    char message[1024];
    ssize_t received;
    while ((received = recv(client, message, sizeof message, 0)) > 0) {
        if (!send_all(client, message, (size_t)received)) {
            perror("client");
            return;
        }
        printf("message from client : ");
        print_line(message, without_newline(message, (size_t)received));
    }
    if (received == -1)
        perror("client");
}

int main(int argc, char *argv[])
{
    int port = argc == 2 ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("iterative_server PORT");
    signal(SIGINT, quit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listen_on(port, 2);
    for (;;) {
        struct sockaddr_in peer;
        int client = accept_from(listener, &peer);
        printf("connected client : %s:%d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
        echo(client);
        close(client);
        printf("closed client : %s:%d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
    }
}
