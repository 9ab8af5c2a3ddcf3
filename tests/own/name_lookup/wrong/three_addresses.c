// as: host_by_name
// fails: official_name
// says: killed by SIGSEGV
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
	struct hostent *host;

	if (argc != 2)
		return 1;
	host = gethostbyname(argv[1]);
	if (!host) {
		puts("gethostbyname() error");
		return 1;
	}
	printf("Official name: %s\n", host->h_name);
	for (int i = 0; host->h_aliases[i]; i++)
		printf("Alias %d: %s\n", i + 1, host->h_aliases[i]);
	for (int i = 0; i < 3; i++)
		printf("Address %d: %s\n", i + 1, inet_ntoa(*(struct in_addr *)host->h_addr_list[i]));
	return 0;
}
