// as: closing_server
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define BUF_SIZE 1024

void error_handling(char *message)
{
	perror(message);
	exit(1);
}

int main(int argc, char *argv[])
{
	int serv_sock, clnt_sock, len;
	char line[BUF_SIZE], data[BUF_SIZE + 1];
	struct sockaddr_in serv_addr, clnt_addr;
	socklen_t clnt_addr_size = sizeof(clnt_addr);
	struct linger linger = { 1, 0 };

	if (argc < 2) {
		fprintf(stderr, "Usage : %s <port> [--abort]\n", argv[0]);
		exit(2);
	}
	serv_sock = socket(PF_INET, SOCK_STREAM, 0);
	memset(&serv_addr, 0, sizeof(serv_addr));
	serv_addr.sin_family = AF_INET;
	serv_addr.sin_addr.s_addr = htonl(INADDR_ANY);
	serv_addr.sin_port = htons(atoi(argv[1]));
	if (bind(serv_sock, (struct sockaddr *)&serv_addr, sizeof(serv_addr)) == -1)
		error_handling("bind");
	if (listen(serv_sock, 1) == -1)
		error_handling("listen");
	clnt_sock = accept(serv_sock, (struct sockaddr *)&clnt_addr, &clnt_addr_size);
	if (clnt_sock == -1)
		error_handling("accept");
	close(serv_sock);
	printf("connected to %s:%d\n", inet_ntoa(clnt_addr.sin_addr), ntohs(clnt_addr.sin_port));
	if (argc > 2)
		setsockopt(clnt_sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	while (fputs("call> ", stdout), fflush(stdout), fgets(line, BUF_SIZE, stdin) != NULL) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "send ", 5)) {
			len = send(clnt_sock, line + 5, strlen(line + 5), MSG_NOSIGNAL);
			if (len == -1)
				error_handling("send");
			printf("send = %d\n", len);
		} else if (!strcmp(line, "recv")) {
			len = recv(clnt_sock, data, BUF_SIZE, 0);
			if (len == -1)
				error_handling("recv");
			data[len] = 0;
			printf("recv = %d (%s)\n", len, len ? data : "end");
		} else if (!strcmp(line, "close")) {
			break;
		} else {
			fprintf(stderr, "?\n");
		}
	}
	printf("close = %d\n", close(clnt_sock));
	return 0;
}
