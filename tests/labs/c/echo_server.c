/* echo_server PORT: send back to one TCP client all that it sends, and end when it leaves. */
#include "lab.h"

int main(int argc, char *argv[])
{
    int port = argc == 2 ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("echo_server PORT");
    signal(SIGINT, quit);
    int listener = listen_on(port, 5);
    int client = accept(listener, NULL, NULL);
    if (client == -1)
        fail("accept");
    char message[1024];
    ssize_t received;
    while ((received = recv(client, message, sizeof message, 0)) > 0) {
        printf("message from client : ");
        print_line(message, without_newline(message, (size_t)received));
        if (!send_all(client, message, (size_t)received))
            fail("send");
    }
    if (received == -1)
        fail("recv");
    close(client);
    close(listener);
    return 0;
}
