// as: chat_server
// fails: passes_on
// says: hello 3
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <netinet/in.h>

#define MAX_CLIENT 10
#define MAXBUF 1024

struct sockaddr_in clients[MAX_CLIENT];
int nClient = 0;

int find(struct sockaddr_in *a)
{
    int i;
    for (i = 0; i < nClient; i++)
        if (clients[i].sin_addr.s_addr == a->sin_addr.s_addr)
            return i;
    return -1;
}

int main(int argc, char **argv)
{
    int s, n, i, me;
    char buf[MAXBUF], out[MAXBUF + 64];
    struct sockaddr_in srv, cli;
    socklen_t len;

    if (argc != 2) { fprintf(stderr, "usage: %s port\n", argv[0]); exit(2); }
    if ((s = socket(AF_INET, SOCK_DGRAM, 0)) < 0) { perror("socket"); exit(1); }
    bzero(&srv, sizeof(srv));
    srv.sin_family = AF_INET;
    srv.sin_addr.s_addr = htonl(INADDR_ANY);
    srv.sin_port = htons(atoi(argv[1]));
    if (bind(s, (struct sockaddr *)&srv, sizeof(srv)) < 0) { perror("bind"); exit(1); }
    puts("chat server started");
    for (;;) {
        len = sizeof(cli);
        n = recvfrom(s, buf, MAXBUF, 0, (struct sockaddr *)&cli, &len);
        if (n < 0) { perror("recvfrom"); continue; }
        if ((me = find(&cli)) < 0) {
            if (nClient == MAX_CLIENT) { fprintf(stderr, "full\n"); continue; }
            clients[me = nClient++] = cli;
            printf("nClient: %d\n", nClient);
        }
        int h = sprintf(out, "%s: %d>> ", inet_ntoa(cli.sin_addr), ntohs(cli.sin_port));
        memcpy(out + h, buf, n);
        for (i = 0; i < nClient; i++)
            if (i != me)
                sendto(s, out, h + n, 0, (struct sockaddr *)&clients[i], sizeof(clients[i]));
    }
}
