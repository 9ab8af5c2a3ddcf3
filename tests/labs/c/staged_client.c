/* staged_client NAME [--host HOST] [--port PORT]: announce every call of a TCP client of the staged server. */
#include <getopt.h>

#include "lab.h"

static const char *name = NULL, *host = "server", *port = "3240";

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
    return optind == argc - 1 && is_host(host) && to_port(port);
}

/* Announce a call or its return, then pause for a second. */
static void stage(const char *line)
{
    printf("C_%s : %s\n", name, line);
    wait_seconds(1);
}

static int start(const struct sockaddr_in *address)
{
    stage("1_Socket Start");
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server == -1)
        fail("socket");
    stage("1_Socket End");

    stage("2_Connect Start(Connecting...)");
    if (connect(server, (const struct sockaddr *)address, sizeof *address) == -1)
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
    if (!parse(argc, argv))
        return usage("staged_client NAME [--host HOST] [--port PORT]");
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sockaddr_in address = address_of(host, port);
    int server = start(&address);
    talk(server);
    close(server); /* tells the server that this was all */
    return 0;
}
