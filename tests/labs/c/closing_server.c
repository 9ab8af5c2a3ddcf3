/* closing_server PORT [--abort]: accept one TCP client, then make the calls that are typed. */
#include "lab.h"

int main(int argc, char *argv[])
{
    bool abort_it = argc == 3 && strcmp(argv[2], "--abort") == 0;
    int port = argc == 2 || abort_it ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("closing_server PORT [--abort]");
    need_stdin();
    signal(SIGINT, quit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listen_on(port, 5);
    struct sockaddr_in peer;
    int client = accept_from(listener, &peer);
    close(listener);
    printf("connected to %s:%d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
    if (abort_it)
        linger_0(client);
    make_calls(client);
    return 0;
}
