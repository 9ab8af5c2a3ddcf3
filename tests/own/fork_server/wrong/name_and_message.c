// as: recording_server
// fails: whole_messages
// says: by one write
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define BUF_SIZE 100

void error_handling(const char *message)
{
	perror(message);
	exit(1);
}

void read_childproc(int sig)
{
	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(int argc, char *argv[])
{
	int serv_sock, clnt_sock, fds[2], len, on = 1;
	struct sockaddr_in adr = {0};
	char buf[BUF_SIZE], name[20];

	if (argc < 2)
		error_handling("port");
	serv_sock = socket(PF_INET, SOCK_STREAM, 0);
	setsockopt(serv_sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	adr.sin_family = AF_INET;
	adr.sin_port = htons(atoi(argv[1]));
	if (bind(serv_sock, (struct sockaddr *)&adr, sizeof(adr)) == -1)
		error_handling("bind()");
	listen(serv_sock, 5);

	if (pipe(fds) == -1)
		error_handling("pipe()");
	if (fork() == 0) {
		FILE *fp = fopen("echomsg.txt", "wt");
		close(serv_sock);
		close(fds[1]);
		while ((len = read(fds[0], buf, BUF_SIZE)) > 0) {
			fwrite(buf, 1, len, fp);
			fflush(fp);
		}
		fclose(fp);
		return 0;
	}
	close(fds[0]);
	signal(SIGCHLD, read_childproc);
	for (;;) {
		clnt_sock = accept(serv_sock, NULL, NULL);
		if (clnt_sock == -1)
			continue;
		if (fork() == 0) {
			close(serv_sock);
			while ((len = read(clnt_sock, buf, BUF_SIZE)) > 0) {
				sprintf(name, "%d: ", getpid());
				write(fds[1], name, strlen(name));
				write(fds[1], buf, len);
				write(clnt_sock, buf, len);
			}
			return 0;
		}
		close(clnt_sock);
	}
}
