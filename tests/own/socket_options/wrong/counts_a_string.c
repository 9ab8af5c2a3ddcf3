// as: small_writes_server
// fails: zero_byte
// says: of which the second one is zero
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define BUF_SIZE 30

void error_handling(char *message)
{
	perror(message);
	exit(1);
}

int main(int argc, char *argv[])
{
	int serv_sock, clnt_sock, str_len, i, count, off = 0, on = 1;
	char buf[BUF_SIZE], answer[BUF_SIZE];
	struct sockaddr_in serv_addr;

	if (argc != 2) {
		printf("Usage : %s <port>\n", argv[0]);
		exit(1);
	}
	signal(SIGPIPE, SIG_IGN);
	serv_sock = socket(PF_INET, SOCK_STREAM, 0);
	setsockopt(serv_sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	memset(&serv_addr, 0, sizeof(serv_addr));
	serv_addr.sin_family = AF_INET;
	serv_addr.sin_addr.s_addr = htonl(INADDR_ANY);
	serv_addr.sin_port = htons(atoi(argv[1]));
	if (bind(serv_sock, (struct sockaddr *)&serv_addr, sizeof(serv_addr)) == -1)
		error_handling("bind");
	listen(serv_sock, 5);
	while (1) {
		clnt_sock = accept(serv_sock, NULL, NULL);
		if (clnt_sock == -1)
			error_handling("accept");
		write(clnt_sock, "ready\n", 6);
		setsockopt(clnt_sock, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
		count = 0;
		while ((str_len = read(clnt_sock, buf, BUF_SIZE - 1)) > 0) {
			printf("recv = %d\n", str_len);
			buf[str_len] = 0;
			for (i = 0; buf[i]; i++) {
				count++;
				if (buf[i] == '\n') {
					sprintf(answer, "%d bytes\n", count);
					write(clnt_sock, answer, strlen(answer));
					count = 0;
				}
			}
		}
		close(clnt_sock);
	}
}
