// as: iterative_server
// fails: listens
// says: which the kernel chose
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	int serv_sock, clnt_sock, str_len;
	char message[1024];
	struct sockaddr_in serv_adr;

	if (argc != 2) {
		printf("Usage : %s <port>\n", argv[0]);
		exit(1);
	}
	serv_sock = socket(PF_INET, SOCK_STREAM, 0);
	serv_adr.sin_family = AF_INET;
	serv_adr.sin_addr.s_addr = htonl(INADDR_ANY);
	serv_adr.sin_port = htons(atoi(argv[1]));
	memset(&serv_adr, 0, sizeof(serv_adr));
	if (bind(serv_sock, (struct sockaddr *)&serv_adr, sizeof(serv_adr)) == -1 || listen(serv_sock, 2) == -1) {
		perror("bind");
		exit(1);
	}
	while ((clnt_sock = accept(serv_sock, NULL, NULL)) != -1) {
		while ((str_len = read(clnt_sock, message, sizeof(message))) > 0)
			write(clnt_sock, message, str_len);
		close(clnt_sock);
	}
	return 0;
}
