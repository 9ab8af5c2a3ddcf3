/* chat_client HOST PORT: send each line typed to a chat server, and print what comes from it; END leaves. */
#include <arpa/inet.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONGEST 65507 /* bytes in a datagram: 65535 less the headers of IP (20) and UDP (8) */

static pid_t child;

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
    long port = strtol(text, &end, 10);
    return *end == '\0' && 1 <= port && port <= 65535;
}

static struct sockaddr_in find(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        exit(1);
    }
    struct sockaddr_in address = *(struct sockaddr_in *)found->ai_addr;
    freeaddrinfo(found);
    return address;
}

static void print_what_arrives(int server)
{
    for (;;) {
        static char message[LONGEST];
        ssize_t length = recvfrom(server, message, sizeof message, 0, NULL, NULL);
        if (length == -1)
            fail("recvfrom");
        fwrite(message, 1, (size_t)length, stdout);
        printf("\n");
    }
}

static void end_child(void)
{
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
}

static void interrupted(int number)
{
    end_child(); /* kill, waitpid and _exit may be called in a handler: signal-safety(7) */
    _exit(128 + number);
}

int main(int argc, char *argv[])
{
    if (argc != 3 || !is_host(argv[1]) || !is_port(argv[2])) {
        fprintf(stderr, "usage: chat_client HOST PORT\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    struct sockaddr_in address = find(argv[1], argv[2]);
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    child = fork();
    if (child == -1)
        fail("fork");
    if (child == 0)
        print_what_arrives(server);
    atexit(end_child);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupted}, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = interrupted}, NULL);

    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool leaving = false;
    while (!leaving && (length = getline(&line, &size, stdin)) > 0) {
        if (line[length - 1] == '\n')
            length--;
        leaving = length == 3 && memcmp(line, "END", 3) == 0;
        if (sendto(server, line, (size_t)length, 0, (struct sockaddr *)&address, sizeof address) == -1)
            fail("sendto");
    }
    free(line);
    close(server);
    return 0;
}
