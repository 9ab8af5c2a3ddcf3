// as: name_by_address
// fails: name_of_an_address
// says: is not in what it printed
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	struct sockaddr_in addr;
	struct hostent *host;

	if (argc != 2)
		return 2;
	memset(&addr, 0, sizeof(addr));
	addr.sin_addr.s_addr = htonl(inet_addr(argv[1]));
	host = gethostbyaddr((char *)&addr.sin_addr, 4, AF_INET);
	if (!host) {
		herror("gethostbyaddr");
		return 1;
	}
	printf("%s -> %s\n", argv[1], host->h_name);
	return 0;
}
