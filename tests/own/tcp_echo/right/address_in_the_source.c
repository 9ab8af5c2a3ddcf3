// as: echo_client
// note: it connects to port 9190
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define BUF_SIZE 1024

int main(int argc, char *argv[])
{
	int sock;
	char message[BUF_SIZE];
	int str_len, recv_len, recv_cnt;
	struct sockaddr_in serv_adr;

	if (argc != 1) {
		printf("Usage : %s \n", argv[0]);
		exit(1);
	}
	sock = socket(PF_INET, SOCK_STREAM, 0);
	memset(&serv_adr, 0, sizeof(serv_adr));
	serv_adr.sin_family = AF_INET;
	serv_adr.sin_addr.s_addr = inet_addr("127.0.0.1");
	serv_adr.sin_port = htons(9190);
	if (connect(sock, (struct sockaddr *)&serv_adr, sizeof(serv_adr)) == -1) {
		fputs("connect() error\n", stderr);
		exit(1);
	}
	while (1) {
		fputs("Input message (Q to quit) > ", stdout);
		if (!fgets(message, BUF_SIZE, stdin) || !strcmp(message, "q\n") || !strcmp(message, "Q\n"))
			break;
		str_len = write(sock, message, strlen(message));
		recv_len = 0;
		while (recv_len < str_len) {
			recv_cnt = read(sock, &message[recv_len], BUF_SIZE - 1 - recv_len);
			if (recv_cnt <= 0)
				exit(1);
			recv_len += recv_cnt;
		}
		message[recv_len] = 0;
		printf("Server says: %s", message);
	}
	close(sock);
	return 0;
}
