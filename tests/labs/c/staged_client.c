/* staged_client NAME [--host HOST] [--port PORT]: announce every call of a TCP client of the staged server. */
#include <arpa/inet.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *name = NULL, *host = "server", *port = "3240";
static double pace = 1;

static void fail(const char *call)
{
    perror(call);
    exit(1);
}

static bool is_host(const char *text)
{
    struct in_addr address; /* digits and dots: meant as an address, so it must be one */
    return strspn(text, "0123456789.") < strlen(text) || inet_pton(AF_INET, text, &address) == 1;
}

static bool is_port(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    return *end == '\0' && 1 <= number && number <= 65535;
}

static bool parse(int argc, char *argv[])
{
    const struct option options[] = {
        {"host", required_argument, NULL, 'h'}, {"port", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
    int option;
    opterr = 0; /* a mistake gets one line, ours */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h')
            host = optarg;
        else if (option == 'p')
            port = optarg;
        else
            return false;
    }
    name = argv[optind];
    return optind == argc - 1 && is_host(host) && is_port(port);
}

static void wait_seconds(double seconds)
{
    seconds *= pace;
    struct timespec pause = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

/* Announce a call or its return, then pause for a second. */
static void stage(const char *line)
{
    printf("C_%s : %s\n", name, line);
    wait_seconds(1);
}

static int connect_to(const struct addrinfo *found)
{
    stage("1_Socket Start");
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server == -1)
        fail("socket");
    stage("1_Socket End");

    stage("2_Connect Start(Connecting...)");
    if (connect(server, found->ai_addr, found->ai_addrlen) == -1)
        fail("connect");
    stage("2_Connect End(Connected!!!)");
    struct sockaddr_in mine, theirs;
    getsockname(server, (struct sockaddr *)&mine, &(socklen_t){sizeof mine});
    getpeername(server, (struct sockaddr *)&theirs, &(socklen_t){sizeof theirs});
    printf("*****[Connecting Information]*****\n");
    printf("C_%s : Descriptor = %d\n", name, server);
    printf("C_%s : My Address = %s\n", name, inet_ntoa(mine.sin_addr));
    printf("C_%s : My Port = %d\n", name, ntohs(mine.sin_port));
    printf("C_%s : Server Address = %s\n", name, inet_ntoa(theirs.sin_addr));
    printf("C_%s : Server Port = %d\n", name, ntohs(theirs.sin_port));
    printf("**********************************\n");
    return server;
}

static void talk(int server)
{
    stage("3_Recv Start");
    char message[sizeof "Hello, I am server." - 1];
    ssize_t received = recv(server, message, sizeof message, MSG_WAITALL); /* all of it, in however many pieces */
    if (received == -1)
        fail("recv");
    stage("3_Recv End");
    printf("*** C_%s : Server Says = %.*s ***\n", name, (int)received, message);
    wait_seconds(3);

    stage("4_Send Start");
    char answer[strlen("Hello, I am client ") + strlen(name) + 1];
    sprintf(answer, "Hello, I am client %s", name);
    if (send(server, answer, strlen(answer), MSG_NOSIGNAL) == -1) /* without the zero byte at its end */
        fail("send");
    stage("4_Send End");
}

int main(int argc, char *argv[])
{
    if (!parse(argc, argv)) {
        fprintf(stderr, "usage: staged_client NAME [--host HOST] [--port PORT]\n");
        return 2;
    }
    if (getenv("LAB_PACE") != NULL)
        pace = atof(getenv("LAB_PACE"));
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        return 1;
    }
    int server = connect_to(found);
    freeaddrinfo(found);
    talk(server);
    close(server); /* tells the server that this was all */
    return 0;
}
