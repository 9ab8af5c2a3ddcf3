/* recording_server PORT [--stop-after N] [--no-flush]: the fork server, with a process that records all messages. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *call)
{
    perror(call);
    exit(1);
}

static pid_t recorder;
static int ends[2]; /* of the pipe: read, write */

static void reap(int number)
{
    int before = errno;
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = before;
}

/* SIGINT: end the children; the recorder, which ignores that, ends when nobody is left who could write to the pipe. */
static void end(int number)
{
    (void)number;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM); /* to the whole process group */
    close(ends[1]);
    waitpid(recorder, NULL, 0);
    _exit(0);
}

static int to_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return *end == '\0' && 1 <= port && port <= 65535 ? (int)port : 0;
}

static int listen_on(int port)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == -1)
        fail("socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1)
        fail("bind");
    if (listen(listener, SOMAXCONN) == -1)
        fail("listen");
    return listener;
}

static bool send_all(int client, const char *message, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(client, message, length, MSG_NOSIGNAL);
        if (sent == -1)
            return false;
        message += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* The recorder: read line by line from the pipe, to EOF (stop_after 0) or so many, and write to the file. */
static void record(FILE *file, long stop_after, bool flush)
{
    FILE *messages = fdopen(ends[0], "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    for (long count = 0; (stop_after == 0 || count < stop_after) && (length = getline(&line, &size, messages)) > 0;
         count++) {
        fwrite(line, 1, (size_t)length, file);
        if (flush && fflush(file) == EOF)
            fail("fflush");
    }
    free(line);
    fclose(messages);
    fclose(file);
}

/* Record and send back all that the client sends. Without a recorder, write() raises SIGPIPE, which kills. */
static void echo(int client, int port)
{
    char message[1024 + 1]; /* less than PIPE_BUF: written whole */
    ssize_t received;
    do {
        received = recv(client, message, sizeof message - 1, 0);
        if (received <= 0)
            break;
        size_t length = (size_t)received - (message[received - 1] == '\n');
        message[length] = '\n';
        printf("Client(%d): ", port);
        fwrite(message, 1, length + 1, stdout);
        fflush(stdout);
        if (write(ends[1], message, length + 1) == -1)
            fail("write");
    } while (send_all(client, message, (size_t)received));
    printf("Client(%d): is disconnected\n", port);
}

int main(int argc, char *argv[])
{
    int port = argc >= 2 ? to_port(argv[1]) : 0;
    long stop_after = 0;
    bool flush = true;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--no-flush") == 0)
            flush = false;
        else if (strcmp(argv[i], "--stop-after") != 0 || ++i == argc || (stop_after = atol(argv[i])) < 1)
            port = 0;
    }
    if (port == 0) {
        fprintf(stderr, "usage: recording_server PORT [--stop-after N] [--no-flush]\n");
        return 2;
    }
    int listener = listen_on(port);
    FILE *file = fopen("echomsg.txt", "w");
    if (file == NULL)
        fail("fopen");
    if (pipe(ends) == -1)
        fail("pipe");
    recorder = fork();
    if (recorder == -1)
        fail("fork");
    if (recorder == 0) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        close(listener);
        close(ends[1]);
        record(file, stop_after, flush);
        exit(0);
    }
    fclose(file);
    close(ends[0]);
    signal(SIGINT, end);
    struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_RESTART}; /* accept goes on after it */
    if (sigaction(SIGCHLD, &on_child, NULL) == -1)
        fail("sigaction");
    for (;;) {
        struct sockaddr_in peer;
        int client = accept(listener, (struct sockaddr *)&peer, &(socklen_t){sizeof peer});
        if (client == -1)
            fail("accept");
        int client_port = ntohs(peer.sin_port);
        printf("client %s:%d is connected...\n", inet_ntoa(peer.sin_addr), client_port);
        fflush(stdout); /* or the child would have it in its buffer, too */
        pid_t child = fork();
        if (child == -1)
            perror("fork");
        if (child == 0) {
            signal(SIGINT, SIG_DFL);
            close(listener);
            echo(client, client_port);
            close(client);
            exit(0);
        }
        close(client);
    }
}
