/* staged_server [--port PORT]: announce every call of a TCP server that serves one client after another. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double pace = 1;

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

static int to_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return *end == '\0' && 1 <= port && port <= 65535 ? (int)port : 0;
}

/* Announce a call or its return, then pause for a second. */
static void stage(const char *line)
{
    printf("S : %s\n", line);
    struct timespec pause = {.tv_sec = (time_t)pace, .tv_nsec = (long)((pace - (time_t)pace) * 1e9)};
    nanosleep(&pause, NULL);
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
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1)
        fail("bind");
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
    int client = accept(listener, (struct sockaddr *)&peer, &(socklen_t){sizeof peer});
    if (client == -1)
        fail("accept");
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
    if (port == 0) {
        fprintf(stderr, "usage: staged_server [--port PORT]\n");
        return 2;
    }
    if (getenv("LAB_PACE") != NULL)
        pace = atof(getenv("LAB_PACE"));
    signal(SIGINT, interrupted);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = start(port);
    for (int number = 0;; number++)
        serve(listener, number);
}
