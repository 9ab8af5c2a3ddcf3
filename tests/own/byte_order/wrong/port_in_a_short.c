// as: sockaddr
// fails: other_ports
// says: 65535, which the kernel reads,
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	struct sockaddr_in a, seen;
	socklen_t len = sizeof seen;
	int s = socket(PF_INET, SOCK_DGRAM, 0);

	if (argc < 3)
		return 2;
	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = inet_addr(argv[1]);
	a.sin_port = htons(atoi(argv[2]));
	for (unsigned i = 0; i < sizeof(a); i++)
		printf("%02x ", ((unsigned char *)&a)[i]);
	printf("\n");
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0 || getpeername(s, (struct sockaddr *)&seen, &len) < 0) {
		perror("connect");
		return 1;
	}
	short port = ntohs(seen.sin_port);
	printf("peer %s:%d\n", inet_ntoa(seen.sin_addr), port);
	return 0;
}
