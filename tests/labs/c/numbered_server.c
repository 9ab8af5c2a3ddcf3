/* numbered_server PORT: count the numbered datagrams of clients, and say which of them did not come. */
#include "lab.h"

#define MOST 100000 /* datagrams of a client */
#define CLIENTS 10

/* What has come of one client. */
struct seen {
    struct sockaddr_in client;
    bool came[MOST + 1];
    long highest, overtaken, twice;
};

/* What is known of a client: of a new one nothing, in place of the oldest. */
static struct seen *seen_of(const struct sockaddr_in *client)
{
    static struct seen all[CLIENTS];
    static int next;
    for (int i = 0; i < CLIENTS; i++)
        if (all[i].client.sin_port == client->sin_port && all[i].client.sin_addr.s_addr == client->sin_addr.s_addr)
            return &all[i];
    struct seen *seen = &all[next++ % CLIENTS];
    memset(seen, 0, sizeof *seen);
    seen->client = *client;
    return seen;
}

static void take(struct seen *seen, long number)
{
    if (seen->came[number])
        seen->twice++;
    else if (number < seen->highest)
        seen->overtaken++;
    else
        seen->highest = number;
    seen->came[number] = true;
}

int main(int argc, char *argv[])
{
    int port = argc == 2 ? to_port(argv[1]) : 0;
    if (port == 0)
        return usage("numbered_server PORT");
    signal(SIGINT, quit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    if (server == -1)
        fail("socket");
    bind_to(server, port);
    for (;;) {
        char message[32];
        struct sockaddr_in client;
        ssize_t length = recvfrom(server, message, sizeof message - 1, 0, (struct sockaddr *)&client,
                                  &(socklen_t){sizeof client});
        if (length == -1)
            fail("recvfrom");
        message[length] = '\0';
        bool end = strncmp(message, "end ", 4) == 0;
        long number = to_number(end ? message + 4 : message, MOST);
        if (number == 0)
            continue; /* nothing of our clients */
        struct seen *seen = seen_of(&client);
        if (!end) {
            take(seen, number);
            continue;
        }
        long came = 0;
        for (long i = 1; i <= number; i++)
            came += seen->came[i];
        char report[128];
        int size = snprintf(report, sizeof report, "%ld of %ld came, %ld lost, %ld overtaken, %ld twice", came, number,
                            number - came, seen->overtaken, seen->twice);
        printf("%s:%d : %s\n", inet_ntoa(client.sin_addr), ntohs(client.sin_port), report);
        if (sendto(server, report, (size_t)size, 0, (struct sockaddr *)&client, sizeof client) == -1)
            perror("sendto"); /* a client that can't be reached is no reason to end */
    }
}
