// as: name_by_address
// fails: arguments
// says: with the arguments ['192.168.1']
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	struct sockaddr_in addr;
	struct hostent *host;
	int i;

	if (argc != 2) {
		printf("Usage : %s <IP>\n", argv[0]);
		exit(2);
	}
	memset(&addr, 0, sizeof(addr));
	addr.sin_addr.s_addr = inet_addr(argv[1]);
	if (addr.sin_addr.s_addr == INADDR_NONE) {
		fputs("inet_addr() error\n", stderr);
		exit(2);
	}
	host = gethostbyaddr((char *)&addr.sin_addr, 4, AF_INET);
	if (!host) {
		herror("gethostbyaddr");
		exit(1);
	}
	printf("Official name: %s\n", host->h_name);
	for (i = 0; host->h_aliases[i]; i++)
		printf("Alias %d: %s\n", i + 1, host->h_aliases[i]);
	return 0;
}
