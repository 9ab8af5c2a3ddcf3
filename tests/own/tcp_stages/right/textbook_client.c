// as: staged_client
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define BUF_SIZE 1024

static char *name;

void stage(const char *words)
{
	char *pace = getenv("LAB_PACE");

	printf("C_%s : %s\n", name, words);
	fflush(stdout);
	usleep(1000000 * (pace ? atof(pace) : 1));
}

int main(int argc, char *argv[])
{
	int sock, n, got = 0;
	struct sockaddr_in serv_addr, my_addr;
	socklen_t size = sizeof(my_addr);
	char message[BUF_SIZE];

	if (argc != 4) {
		printf("Usage : %s <name> <IP> <port>\n", argv[0]);
		exit(1);
	}
	name = argv[1];
	stage("1_Socket Start");
	sock = socket(PF_INET, SOCK_STREAM, 0);
	stage("1_Socket End");
	memset(&serv_addr, 0, sizeof(serv_addr));
	serv_addr.sin_family = AF_INET;
	serv_addr.sin_addr.s_addr = inet_addr(argv[2]);
	serv_addr.sin_port = htons(atoi(argv[3]));
	stage("2_Connect Start(Connecting...)");
	if (connect(sock, (struct sockaddr *)&serv_addr, sizeof(serv_addr)) == -1) {
		perror("connect");
		exit(1);
	}
	stage("2_Connect End(Connected!!!)");
	getsockname(sock, (struct sockaddr *)&my_addr, &size);
	printf("*****[Connecting Information]*****\n");
	printf("my IP = %s, my port = %d\n", inet_ntoa(my_addr.sin_addr), ntohs(my_addr.sin_port));
	printf("server IP = %s, server port = %d\n", inet_ntoa(serv_addr.sin_addr), ntohs(serv_addr.sin_port));
	stage("3_Recv Start");
	while (got < 19 && (n = read(sock, message + got, 19 - got)) > 0)
		got += n;
	message[got] = 0;
	stage("3_Recv End");
	printf("*** C_%s : Server Says = %s ***\n", name, message);
	stage("4_Send Start");
	sprintf(message, "Hello, I am client %s", name);
	write(sock, message, strlen(message));
	stage("4_Send End");
	close(sock);
	return 0;
}
