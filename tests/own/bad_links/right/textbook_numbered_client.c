// as: numbered_client
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/select.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	int sock, i, len, count;
	char buf[1000];
	struct sockaddr_in adr;
	struct timeval timeout;
	fd_set reads;

	if (argc < 3) {
		printf("Usage : %s <IP> <port> [count]\n", argv[0]);
		exit(1);
	}
	count = argc > 3 ? atoi(argv[3]) : 100;
	sock = socket(PF_INET, SOCK_DGRAM, 0);
	memset(&adr, 0, sizeof(adr));
	adr.sin_family = AF_INET;
	adr.sin_addr.s_addr = inet_addr(argv[1]);
	adr.sin_port = htons(atoi(argv[2]));
	for (i = 1; i <= count; i++) {
		sprintf(buf, "%d", i);
		sendto(sock, buf, strlen(buf), 0, (struct sockaddr *)&adr, sizeof(adr));
	}
	while (1) {
		sprintf(buf, "end %d", count);
		sendto(sock, buf, strlen(buf), 0, (struct sockaddr *)&adr, sizeof(adr));
		FD_ZERO(&reads);
		FD_SET(sock, &reads);
		timeout.tv_sec = 0;
		timeout.tv_usec = 300000;
		if (select(sock + 1, &reads, NULL, NULL, &timeout) == 1)
			break;
	}
	len = recvfrom(sock, buf, sizeof(buf) - 1, 0, NULL, NULL);
	buf[len > 0 ? len : 0] = 0;
	printf("%s\n", buf);
	close(sock);
	return 0;
}
