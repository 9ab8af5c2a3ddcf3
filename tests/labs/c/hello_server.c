/* hello_server PORT [--no-reuse-address]: greet one TCP client and end. */
#include "lab.h"

int main(int argc, char *argv[])
{
    bool reuse_address = !(argc == 3 && strcmp(argv[2], "--no-reuse-address") == 0);
    int port = argc == 2 || !reuse_address ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("hello_server PORT [--no-reuse-address]");
    signal(SIGINT, quit);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == -1)
        fail("socket");
    if (reuse_address && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    bind_to(listener, port);
    if (listen(listener, 5) == -1)
        fail("listen");
    int client = accept(listener, NULL, NULL);
    if (client == -1)
        fail("accept");
    const char message[] = "Hello World~\n";
    if (!send_all(client, message, strlen(message))) /* without the zero byte at its end */
        fail("send");
    close(client);
    close(listener);
    return 0;
}
