/* host_by_name NAME: what the name service knows of a host: its official name, its aliases, its addresses. */
#define _DEFAULT_SOURCE /* for herror */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
    if (argc != 2) {
        fprintf(stderr, "usage: host_by_name NAME\n");
        return 2;
    }
    struct hostent *host = gethostbyname(argv[1]);
    if (host == NULL) {
        herror("gethostbyname");
        return 1;
    }
    printf("Official name: %s\n", host->h_name);
    for (int i = 0; host->h_aliases[i] != NULL; i++)
        printf("Alias %d: %s\n", i + 1, host->h_aliases[i]);
    printf("Address type: %d\n", host->h_addrtype);
    for (int i = 0; host->h_addr_list[i] != NULL; i++)
        printf("Address %d: %s\n", i + 1, inet_ntoa(*(struct in_addr *)host->h_addr_list[i]));
    return 0;
}
