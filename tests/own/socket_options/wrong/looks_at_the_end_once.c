// as: small_writes_client
// fails: server_leaves
// says: still waits for its answer
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

static void read_line(int sock, char *line)
{
	do {
		if (read(sock, line, 1) <= 0) {
			fputs("recv: the server has gone\n", stderr);
			exit(1);
		}
	} while (*line++ != '\n');
	*line = 0;
}

int main(int argc, char *argv[])
{
	int sock, i, nodelay = 0, one = 0, on = 1;
	char line[] = "ABCDEFGHI\n", answer[100];
	struct sockaddr_in serv_addr;
	struct timeval begin, end;

	if (argc < 3)
		exit(2);
	for (i = 3; i < argc; i++) {
		nodelay |= !strcmp(argv[i], "--no-delay");
		one |= !strcmp(argv[i], "--one-write");
	}
	sock = socket(PF_INET, SOCK_STREAM, 0);
	memset(&serv_addr, 0, sizeof(serv_addr));
	serv_addr.sin_family = AF_INET;
	serv_addr.sin_addr.s_addr = inet_addr(argv[1]);
	serv_addr.sin_port = htons(atoi(argv[2]));
	if (connect(sock, (struct sockaddr *)&serv_addr, sizeof(serv_addr)) == -1) {
		perror("connect");
		exit(1);
	}
	read_line(sock, answer);
	if (nodelay)
		setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	gettimeofday(&begin, NULL);
	if (one)
		write(sock, line, 10);
	else
		for (i = 0; i < 10; i++)
			write(sock, &line[i], 1);
	i = 0;
	do {
		if (read(sock, &answer[i], 1) == 1)
			i++;
	} while (i == 0 || answer[i - 1] != '\n');
	answer[i] = 0;
	gettimeofday(&end, NULL);
	printf("Message from server : %s", answer);
	printf("answered after %ld us\n", (end.tv_sec - begin.tv_sec) * 1000000 + end.tv_usec - begin.tv_usec);
	close(sock);
	return 0;
}
