// as: chat_client
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define BUF_SIZE 1024

int main(int argc, char *argv[])
{
	int sock, len;
	char buf[BUF_SIZE];
	pid_t pid;
	struct sockaddr_in adr;

	if (argc != 3) {
		printf("Usage : %s <IP> <port>\n", argv[0]);
		exit(1);
	}
	sock = socket(PF_INET, SOCK_DGRAM, 0);
	memset(&adr, 0, sizeof(adr));
	adr.sin_family = AF_INET;
	adr.sin_addr.s_addr = inet_addr(argv[1]);
	adr.sin_port = htons(atoi(argv[2]));
	pid = fork();
	if (pid == -1) {
		perror("fork() error");
		exit(1);
	}
	if (pid == 0) {
		while (1) {
			len = recvfrom(sock, buf, BUF_SIZE - 1, 0, NULL, NULL);
			if (len < 0)
				continue;
			buf[len] = 0;
			printf("%s\n", buf);
		}
	}
	while (fgets(buf, BUF_SIZE, stdin) != NULL) {
		if (!strcmp(buf, "END\n"))
			break;
		sendto(sock, buf, strlen(buf), 0, (struct sockaddr *)&adr, sizeof(adr));
	}
	kill(pid, SIGKILL);
	wait(NULL);
	close(sock);
	return 0;
}
