/* fork_server PORT [--leave-zombies] [--leave-client-open] [--leave-listener-open]: echo, a process for each client. */
#include "lab.h"

/* SIGINT: on a terminal it has gone to the whole process group; what this sends goes there, too. */
static void end(int number)
{
    (void)number;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    _exit(0);
}

/* Send back all that the client sends, until it leaves or breaks its connection. */
static void echo(int client, int port)
{
    char message[1024];
    ssize_t received;
    do {
        received = recv(client, message, sizeof message, 0);
        if (received <= 0)
            break;
        printf("Client(%d): ", port);
        print_line(message, without_newline(message, (size_t)received));
    } while (send_all(client, message, (size_t)received));
    printf("Client(%d): is disconnected\n", port);
}

int main(int argc, char *argv[])
{
    bool leave_zombies = false, leave_client_open = false, leave_listener_open = false;
    int port = argc >= 2 ? to_port(argv[1]) : 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--leave-zombies") == 0)
            leave_zombies = true;
        else if (strcmp(argv[i], "--leave-client-open") == 0)
            leave_client_open = true;
        else if (strcmp(argv[i], "--leave-listener-open") == 0)
            leave_listener_open = true;
        else
            port = 0;
    }
    if (port == 0)
        return usage("fork_server PORT [--leave-zombies] [--leave-client-open] [--leave-listener-open]");
    signal(SIGINT, end);
    struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_RESTART}; /* accept goes on after it */
    if (!leave_zombies && sigaction(SIGCHLD, &on_child, NULL) == -1)
        fail("sigaction");
    int listener = listen_on(port, SOMAXCONN);
    for (;;) {
        struct sockaddr_in peer;
        int client = accept_from(listener, &peer);
        int client_port = ntohs(peer.sin_port);
        printf("client %s:%d is connected...\n", inet_ntoa(peer.sin_addr), client_port);
        fflush(stdout); /* or the child would have it in its buffer, too */
        pid_t child = fork();
        if (child == -1)
            perror("fork");
        if (child == 0) {
            signal(SIGINT, SIG_DFL);
            if (!leave_listener_open)
                close(listener);
            echo(client, client_port);
            close(client);
            exit(0);
        }
        if (!leave_client_open)
            close(client);
    }
}
