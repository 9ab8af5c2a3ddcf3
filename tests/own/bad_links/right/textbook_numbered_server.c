// as: numbered_server
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define MAX_CLNT 20
#define MAX_NUM 100000

struct client {
	struct sockaddr_in adr;
	char seen[MAX_NUM + 1];
	int max, late, twice;
} clients[MAX_CLNT];
int n_clients;

int main(int argc, char *argv[])
{
	int sock, i, came, num, len, is_end;
	char buf[100], answer[100];
	struct sockaddr_in adr;
	struct client *c;
	socklen_t size;

	if (argc != 2) {
		printf("Usage : %s <port>\n", argv[0]);
		exit(1);
	}
	sock = socket(PF_INET, SOCK_DGRAM, 0);
	memset(&adr, 0, sizeof(adr));
	adr.sin_family = AF_INET;
	adr.sin_addr.s_addr = htonl(INADDR_ANY);
	adr.sin_port = htons(atoi(argv[1]));
	if (bind(sock, (struct sockaddr *)&adr, sizeof(adr)) == -1) {
		perror("bind() error");
		exit(1);
	}
	while (1) {
		size = sizeof(adr);
		len = recvfrom(sock, buf, sizeof(buf) - 1, 0, (struct sockaddr *)&adr, &size);
		if (len < 0)
			continue;
		buf[len] = 0;
		is_end = strncmp(buf, "end ", 4) == 0;
		num = atoi(is_end ? buf + 4 : buf);
		if (num < 1 || num > MAX_NUM)
			continue;
		for (i = 0; i < n_clients; i++)
			if (memcmp(&clients[i].adr, &adr, sizeof(adr)) == 0)
				break;
		if (i == MAX_CLNT)
			i = n_clients = 0;
		if (i == n_clients) {
			memset(&clients[i], 0, sizeof(clients[i]));
			clients[i].adr = adr;
			n_clients++;
		}
		c = &clients[i];
		if (!is_end) {
			if (c->seen[num])
				c->twice++;
			else if (num < c->max)
				c->late++;
			c->seen[num] = 1;
			if (num > c->max)
				c->max = num;
			continue;
		}
		came = 0;
		for (i = 1; i <= num; i++)
			came += c->seen[i];
		len = sprintf(answer, "received: %d of %d, lost: %d, out of order: %d, double: %d\n", came, num, num - came,
			      c->late, c->twice);
		sendto(sock, answer, len, 0, (struct sockaddr *)&adr, sizeof(adr));
	}
}
