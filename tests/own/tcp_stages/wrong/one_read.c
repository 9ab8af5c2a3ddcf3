// as: staged_server
// fails: receives_to_the_end
// says: did not wait for all of them
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define BUF_SIZE 100

void error_handling(char *message)
{
	perror(message);
	exit(1);
}

void handler(int sig)
{
	(void)sig;
	printf("\nS : bye\n");
	exit(0);
}

void step(char *words)
{
	char *pace = getenv("LAB_PACE");

	printf("S : %s\n", words);
	usleep(1000000 * (pace ? atof(pace) : 1.0));
}

int main(int argc, char *argv[])
{
	int serv_sock, clnt_sock, port = 3240, option = 1, i = 0, str_len;
	struct sockaddr_in serv_addr, clnt_addr;
	socklen_t clnt_addr_size;
	char message[BUF_SIZE];
	char hello[] = "Hello, I am server.";

	if (argc == 3 && !strcmp(argv[1], "--port"))
		port = atoi(argv[2]);
	else if (argc != 1) {
		printf("Usage : %s [--port PORT]\n", argv[0]);
		exit(1);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGINT, handler);
	signal(SIGPIPE, SIG_IGN);
	step("1_Socket Start");
	serv_sock = socket(PF_INET, SOCK_STREAM, 0);
	if (serv_sock == -1)
		error_handling("socket");
	setsockopt(serv_sock, SOL_SOCKET, SO_REUSEADDR, &option, sizeof(option));
	step("1_Socket End");
	memset(&serv_addr, 0, sizeof(serv_addr));
	serv_addr.sin_family = AF_INET;
	serv_addr.sin_addr.s_addr = htonl(INADDR_ANY);
	serv_addr.sin_port = htons(port);
	step("2_Bind Start");
	if (bind(serv_sock, (struct sockaddr *)&serv_addr, sizeof(serv_addr)) == -1)
		error_handling("bind");
	step("2_Bind End");
	step("3_Listen Start");
	if (listen(serv_sock, 5) == -1)
		error_handling("listen");
	step("3_Listen End");
	while (1) {
		step("4_Accept Start(Waiting for a client...)(Exit for Ctrl+C(SIGINT))");
		clnt_addr_size = sizeof(clnt_addr);
		clnt_sock = accept(serv_sock, (struct sockaddr *)&clnt_addr, &clnt_addr_size);
		if (clnt_sock == -1)
			error_handling("accept");
		step("4_Accept End(Connected!)");
		printf("*****[Connecting Information]*****\n");
		printf("listening socket = %d\nclient socket = %d\n", serv_sock, clnt_sock);
		printf("client number = %d\n", i++);
		printf("IP = %s\n", inet_ntoa(clnt_addr.sin_addr));
		printf("port = %d\n", ntohs(clnt_addr.sin_port));
		step("5_Send Start");
		write(clnt_sock, hello, strlen(hello));
		step("5_Send End");
		step("6_Recv Start");
		str_len = read(clnt_sock, message, BUF_SIZE - 1);
		message[str_len] = 0;
		step("6_Recv End");
		printf("*** S : Client Says = %s ***\n", message);
		close(clnt_sock);
	}
}
