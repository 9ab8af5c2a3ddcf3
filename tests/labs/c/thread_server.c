/* thread_server PORT [--no-lock]: echo, a thread for each client; the threads count the messages of all. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/select.h>

#include "lab.h"

struct client {
    int descriptor, port;
};

static long messages; /* the counter: of all clients, written by all threads */
static bool locked = true;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void interrupted(int number)
{
    (void)number; /* makes pselect return */
}

/* What `messages++` does, in its three steps, and printing between them. */
static void count(int port, const char *message, size_t length)
{
    char line[1100];
    if (locked)
        pthread_mutex_lock(&lock);
    long number = messages;
    number++;
    int start = snprintf(line, sizeof line, "message %ld from Client(%d): ", number, port);
    memcpy(line + start, message, length);
    line[(size_t)start + length] = '\n';
    if (write(1, line, (size_t)start + length + 1) == -1) /* meanwhile other threads run */
        fail("write");
    messages = number;
    if (locked)
        pthread_mutex_unlock(&lock);
}

/* A thread: send back all that the client sends, until it leaves or breaks its connection. */
static void *echo(void *argument)
{
    struct client client = *(struct client *)argument;
    free(argument);
    char message[1024];
    ssize_t received;
    do {
        received = recv(client.descriptor, message, sizeof message, 0);
        if (received <= 0)
            break;
        count(client.port, message, without_newline(message, (size_t)received));
    } while (send_all(client.descriptor, message, (size_t)received));
    close(client.descriptor);
    printf("Client(%d): is disconnected\n", client.port);
    return NULL;
}

int main(int argc, char *argv[])
{
    locked = !(argc == 3 && strcmp(argv[2], "--no-lock") == 0);
    int port = argc == 2 || !locked ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("thread_server PORT [--no-lock]");
    signal(SIGINT, interrupted);
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, &before); /* for the threads to come, too: let in by pselect alone */
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    int last_descriptor = (int)descriptors.rlim_cur - 1;
    int listener = listen_on(port, SOMAXCONN);
    for (;;) {
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(listener, &readable);
        if (pselect(listener + 1, &readable, NULL, NULL, NULL, &before) == -1)
            break;
        struct sockaddr_in peer;
        int descriptor = accept_from(listener, &peer);
        if (descriptor == last_descriptor) { /* all are in use: without this one, the next accept would fail */
            fprintf(stderr, "accept: Too many open files\n");
            close(descriptor);
            continue;
        }
        struct client *client = malloc(sizeof *client); /* each thread frees its own */
        if (client == NULL)
            fail("malloc");
        *client = (struct client){descriptor, ntohs(peer.sin_port)};
        printf("client %s:%d is connected...\n", inet_ntoa(peer.sin_addr), client->port);
        pthread_t thread;
        errno = pthread_create(&thread, NULL, echo, client);
        if (errno != 0) {
            perror("pthread_create");
            close(descriptor);
            free(client);
            continue;
        }
        pthread_detach(thread);
    }
    printf("messages : %ld\n", messages);
    return 0;
}
