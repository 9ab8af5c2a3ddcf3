/* select_server PORT [--show]: echo for many TCP clients at once, in one process; it waits for whichever is ready. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/select.h>

#include "lab.h"

static struct {
    char bytes[1024];
    size_t length, sent;
} owed[FD_SETSIZE];             /* to each client, by descriptor */
static fd_set reading, writing; /* whom we watch: a client is in one of the two */
static int highest;             /* of all descriptors watched */
static int too_high;            /* a descriptor that is only there to be refused */

static void welcome(int listener)
{
    int client = accept(listener, NULL, NULL);
    if (client == -1) {
        perror("accept"); /* it has left before we came to it */
    } else if (client >= too_high) {
        fprintf(stderr, "refused client : %d is too high for FD_SETSIZE\n", client);
        close(client);
    } else {
        fcntl(client, F_SETFL, O_NONBLOCK);
        FD_SET(client, &reading);
        highest = client > highest ? client : highest;
        printf("connected client : %d\n", client);
    }
}

static void leave(int client)
{
    FD_CLR(client, &reading);
    FD_CLR(client, &writing);
    close(client);
    printf("closed client : %d\n", client);
}

static void read_from(int client, bool show)
{
    ssize_t length = recv(client, owed[client].bytes, sizeof owed[client].bytes, 0);
    if (length <= 0) {
        leave(client);
        return;
    }
    owed[client].length = (size_t)length;
    owed[client].sent = 0;
    FD_CLR(client, &reading); /* until it has taken it: it slows down itself, nobody else */
    FD_SET(client, &writing);
    if (show) {
        while (length > 0 && owed[client].bytes[length - 1] == '\n')
            length--;
        printf("Message from client %d: ", client);
        print_line(owed[client].bytes, (size_t)length);
    }
}

static void write_to(int client)
{
    ssize_t sent = send(client, owed[client].bytes + owed[client].sent, owed[client].length - owed[client].sent,
                        MSG_NOSIGNAL);
    if (sent == -1) {
        leave(client);
        return;
    }
    owed[client].sent += (size_t)sent;
    if (owed[client].sent == owed[client].length) {
        FD_CLR(client, &writing);
        FD_SET(client, &reading);
    }
}

int main(int argc, char *argv[])
{
    bool show = argc == 3 && strcmp(argv[2], "--show") == 0;
    int port = argc == 2 || show ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("select_server PORT [--show]");
    signal(SIGINT, quit);
    setvbuf(stdout, NULL, _IOLBF, 0);

    /* One descriptor more than select can watch: on it a client too many is accepted, only to be refused. */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    too_high = files.rlim_max > FD_SETSIZE ? FD_SETSIZE : (int)files.rlim_max - 1;
    files.rlim_cur = (rlim_t)too_high + 1;
    if (setrlimit(RLIMIT_NOFILE, &files) == -1)
        fail("setrlimit");

    int listener = listen_on(port, SOMAXCONN);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    FD_SET(listener, &reading);
    highest = listener;
    for (;;) {
        fd_set readable = reading, writable = writing; /* select changes what it is given */
        if (select(highest + 1, &readable, &writable, NULL, NULL) == -1)
            fail("select");
        for (int descriptor = 0; descriptor <= highest; descriptor++) {
            if (descriptor == listener && FD_ISSET(descriptor, &readable))
                welcome(listener);
            else if (FD_ISSET(descriptor, &readable))
                read_from(descriptor, show);
            else if (FD_ISSET(descriptor, &writable))
                write_to(descriptor);
        }
    }
}
