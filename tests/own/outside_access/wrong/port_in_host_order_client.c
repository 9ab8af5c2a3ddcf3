// as: line_client
// fails: connects_inside
// says: did not connect
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	char line[BUFSIZ], answer[BUFSIZ];
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int sock, len, got, n;

	if (argc != 3) {
		printf("Usage : %s <IP> <port>\n", argv[0]);
		exit(1);
	}
	addr.sin_addr.s_addr = inet_addr(argv[1]);
	addr.sin_port = atoi(argv[2]);
	sock = socket(PF_INET, SOCK_STREAM, 0);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == -1) {
		perror("connect");
		exit(1);
	}
	while (printf("입력: "), fflush(stdout), fgets(line, sizeof(line), stdin) && strcmp(line, "END\n") != 0) {
		len = strcspn(line, "\n");
		write(sock, line, len);
		for (got = 0; got < len; got += n)
			if ((n = read(sock, answer + got, len - got)) <= 0)
				exit(1);
		printf("서버: %.*s\n", len, answer);
	}
	close(sock);
	return 0;
}
