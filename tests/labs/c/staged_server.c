/* staged_server [--port PORT]: announce every call of a TCP server that serves one client after another. */
#include "lab.h"

/* Announce a call or its return, then pause for a second. */
static void stage(const char *line)
{
    printf("S : %s\n", line);
    wait_seconds(1);
}

static int start(int port)
{
    stage("1_Socket Start");
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == -1)
        fail("socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    stage("1_Socket End");

    stage("2_Bind Start");
    bind_to(listener, port);
    stage("2_Bind End");

    stage("3_Listen Start");
    if (listen(listener, 5) == -1)
        fail("listen");
    stage("3_Listen End");
    return listener;
}

static void serve(int listener, int number)
{
    stage("4_Accept Start(Waiting for a client...)(Exit for Ctrl+C(SIGINT))");
    struct sockaddr_in peer;
    int client = accept_from(listener, &peer);
    stage("4_Accept End(Connected!)");
    printf("*****[Connecting Information]*****\n");
    printf("S : Listening Descriptor = %d\n", listener);
    printf("S : Client Descriptor = %d\n", client);
    printf("S : Client Number = %d\n", number);
    printf("S : Client Address = %s\n", inet_ntoa(peer.sin_addr));
    printf("S : Client Port = %d\n", ntohs(peer.sin_port));
    printf("**********************************\n");

    stage("5_Send Start");
    const char greeting[] = "Hello, I am server.";
    if (send(client, greeting, strlen(greeting), MSG_NOSIGNAL) == -1)
        perror("S : send"); /* a client that breaks its connection is no reason to end */
    stage("5_Send End");

    stage("6_Recv Start");
    char message[1024];
    ssize_t received = recv(client, message, sizeof message, MSG_WAITALL); /* until it closes, or the buffer is full */
    if (received == -1)
        perror("S : recv");
    stage("6_Recv End");
    printf("*** S : Client Says = ");
    fwrite(message, 1, received > 0 ? (size_t)received : 0, stdout);
    printf(" ***\n");
    close(client);
}

int main(int argc, char *argv[])
{
    int port = argc == 1 ? 3240 : argc == 3 && strcmp(argv[1], "--port") == 0 ? to_port(argv[2]) : 0;
    if (port == 0)
        return usage("staged_server [--port PORT]");
    signal(SIGINT, quit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = start(port);
    for (int number = 0;; number++)
        serve(listener, number);
}
