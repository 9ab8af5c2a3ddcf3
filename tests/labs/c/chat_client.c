/* chat_client HOST PORT: send each line typed to a chat server, and print what comes from it; END leaves. */
#include "lab.h"

static const int endings[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM}; /* a closed terminal, Ctrl+C, Ctrl+\, kill */
static pid_t child;

static void print_what_arrives(int server)
{
    for (;;) {
        static char message[LONGEST_DATAGRAM];
        ssize_t length = recvfrom(server, message, sizeof message, 0, NULL, NULL);
        if (length == -1)
            fail("recvfrom");
        print_line(message, (size_t)length);
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
    if (argc != 3 || !is_host(argv[1]) || !to_port(argv[2]))
        return usage("chat_client HOST PORT");
    need_stdin();
    struct sockaddr_in address = address_of(argv[1], argv[2]);
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    sigset_t ending; /* blocked until it is known what they do */
    sigemptyset(&ending);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        sigaddset(&ending, endings[i]);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    child = fork();
    if (child == -1)
        fail("fork");
    if (child == 0) {
        sigprocmask(SIG_UNBLOCK, &ending, NULL);
        print_what_arrives(server);
    }
    atexit(end_child);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        sigaction(endings[i], &(struct sigaction){.sa_handler = interrupted}, NULL);
    sigprocmask(SIG_UNBLOCK, &ending, NULL);

    char *line = NULL;
    size_t size = 0;
    ssize_t read;
    bool leaving = false;
    while (!leaving && (read = getline(&line, &size, stdin)) > 0) {
        size_t length = without_newline(line, (size_t)read);
        leaving = length == 3 && memcmp(line, "END", 3) == 0;
        if (sendto(server, line, length, 0, (struct sockaddr *)&address, sizeof address) == -1)
            fail("sendto");
    }
    free(line);
    close(server);
    return 0;
}
