// as: closing_client
// fails: receives
// says: recv typed
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_in a = { 0 };
	char cmd[16], arg[1000], buf[1024];
	int s, c, n;

	if (argc < 3) {
		fprintf(stderr, "usage: %s host port\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	s = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = inet_addr(argv[1]);
	a.sin_port = htons(atoi(argv[2]));
	if (connect(s, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("connect");
		return 1;
	}
	if (argc == 4) {
		struct linger l = { 1, 0 };
		setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	}
	printf("connected to %s:%s\n", argv[1], argv[2]);
	for (;;) {
		if (scanf("%15s", cmd) != 1 || strcmp(cmd, "close") == 0)
			break;
		if (strcmp(cmd, "send") == 0 && scanf(" %999[^\n]", arg) == 1) {
			if ((n = write(s, arg, strlen(arg))) < 0) {
				perror("send");
				return 1;
			}
			printf("%d bytes sent\n", n);
		} else if (strcmp(cmd, "recv") == 0) {
			if ((n = recv(s, buf, sizeof buf, MSG_WAITALL)) < 0) {
				perror("recv");
				return 1;
			}
			printf("%d bytes: ", n);
			fwrite(buf, 1, n, stdout);
			putchar('\n');
		} else {
			while ((c = getchar()) != '\n' && c != EOF)
				;
		}
	}
	close(s);
	puts("closed");
	return 0;
}
