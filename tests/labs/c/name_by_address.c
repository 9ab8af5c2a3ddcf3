/* name_by_address ADDRESS: the name of the host that has this IPv4 address. */
#define _DEFAULT_SOURCE /* for herror */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
    struct in_addr address;
    if (argc != 2 || inet_pton(AF_INET, argv[1], &address) != 1) {
        fprintf(stderr, "usage: name_by_address ADDRESS\n");
        return 2;
    }
    struct hostent *host = gethostbyaddr(&address, sizeof address, AF_INET);
    if (host == NULL) {
        herror("gethostbyaddr");
        return 1;
    }
    printf("Official name: %s\n", host->h_name);
    for (int i = 0; host->h_aliases[i] != NULL; i++)
        printf("Alias %d: %s\n", i + 1, host->h_aliases[i]);
    return 0;
}
