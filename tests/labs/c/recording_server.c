/* recording_server PORT [--stop-after N] [--no-flush]: the fork server, with a process that records all messages. */
#include <limits.h>

#include "lab.h"

static pid_t recorder;
static int ends[2]; /* of the pipe: read, write */

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
        size_t length = without_newline(message, (size_t)received);
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
        else if (strcmp(argv[i], "--stop-after") != 0 || ++i == argc || !(stop_after = to_number(argv[i], LONG_MAX)))
            port = 0;
    }
    if (port == 0)
        return usage("recording_server PORT [--stop-after N] [--no-flush]");
    int listener = listen_on(port, SOMAXCONN);
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
        int client = accept_from(listener, &peer);
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
