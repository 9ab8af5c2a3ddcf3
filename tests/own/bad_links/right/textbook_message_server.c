// as: message_server
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define BUF_SIZE 1024

int main(int argc, char *argv[])
{
	int serv_sock, clnt_sock, len, total, pieces, on = 1;
	char buf[BUF_SIZE];
	struct sockaddr_in adr;

	if (argc != 2) {
		printf("Usage : %s <port>\n", argv[0]);
		exit(1);
	}
	serv_sock = socket(PF_INET, SOCK_STREAM, 0);
	setsockopt(serv_sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	memset(&adr, 0, sizeof(adr));
	adr.sin_family = AF_INET;
	adr.sin_addr.s_addr = htonl(INADDR_ANY);
	adr.sin_port = htons(atoi(argv[1]));
	if (bind(serv_sock, (struct sockaddr *)&adr, sizeof(adr)) == -1) {
		perror("bind() error");
		exit(1);
	}
	listen(serv_sock, 5);
	while ((clnt_sock = accept(serv_sock, NULL, NULL)) != -1) {
		total = pieces = 0;
		while ((len = read(clnt_sock, buf, BUF_SIZE)) > 0) {
			total += len;
			pieces++;
		}
		if (len == 0) {
			sprintf(buf, "%d bytes, %d reads\n", total, pieces);
			write(clnt_sock, buf, strlen(buf));
		}
		close(clnt_sock);
	}
	return 0;
}
