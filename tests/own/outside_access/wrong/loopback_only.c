// as: select_server
// fails: listens_to_all
// says: 127.0.0.1 alone
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <arpa/inet.h>
#include <sys/select.h>
#include <sys/socket.h>

#define BUF_SIZE 1024

int main(int argc, char *argv[])
{
	int serv_sock, clnt_sock, fd_max, str_len, sent, n, i, on = 1;
	struct sockaddr_in serv_adr, clnt_adr;
	socklen_t adr_sz;
	fd_set reads, cpy_reads;
	char buf[BUF_SIZE];

	if (argc != 2) {
		printf("Usage : %s <port>\n", argv[0]);
		exit(1);
	}
	signal(SIGPIPE, SIG_IGN);
	serv_sock = socket(PF_INET, SOCK_STREAM, 0);
	setsockopt(serv_sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	memset(&serv_adr, 0, sizeof(serv_adr));
	serv_adr.sin_family = AF_INET;
	serv_adr.sin_addr.s_addr = inet_addr("127.0.0.1");
	serv_adr.sin_port = htons(atoi(argv[1]));
	if (bind(serv_sock, (struct sockaddr *)&serv_adr, sizeof(serv_adr)) == -1 || listen(serv_sock, 5) == -1) {
		perror("bind");
		exit(1);
	}
	FD_ZERO(&reads);
	FD_SET(serv_sock, &reads);
	fd_max = serv_sock;
	while (1) {
		cpy_reads = reads;
		if (select(fd_max + 1, &cpy_reads, 0, 0, NULL) == -1)
			break;
		for (i = 0; i < fd_max + 1; i++) {
			if (!FD_ISSET(i, &cpy_reads))
				continue;
			if (i == serv_sock) {
				adr_sz = sizeof(clnt_adr);
				clnt_sock = accept(serv_sock, (struct sockaddr *)&clnt_adr, &adr_sz);
				FD_SET(clnt_sock, &reads);
				if (fd_max < clnt_sock)
					fd_max = clnt_sock;
				printf("connected client: %d \n", clnt_sock);
			} else {
				str_len = read(i, buf, BUF_SIZE);
				if (str_len <= 0) {
					FD_CLR(i, &reads);
					close(i);
					printf("closed client: %d \n", i);
					continue;
				}
				for (sent = 0; sent < str_len; sent += n)
					if ((n = write(i, buf + sent, str_len - sent)) <= 0)
						break;
			}
		}
	}
	close(serv_sock);
	return 0;
}
