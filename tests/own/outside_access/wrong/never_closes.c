// as: iterative_server
// fails: answers_inside
// says: the server outside does not close its end
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	struct sockaddr_in me = { 0 }, you;
	socklen_t len;
	char buf[256], ip[INET_ADDRSTRLEN];
	int l, c;
	ssize_t n;

	if (argc != 2)
		return 2;
	me.sin_family = AF_INET;
	me.sin_port = htons(atoi(argv[1]));
	l = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(l, (struct sockaddr *)&me, sizeof me) || listen(l, 2)) {
		perror("bind");
		return 1;
	}
	for (;;) {
		len = sizeof you;
		c = accept(l, (struct sockaddr *)&you, &len);
		inet_ntop(AF_INET, &you.sin_addr, ip, sizeof ip);
		printf("connected client : %s:%d\n", ip, ntohs(you.sin_port));
		while ((n = recv(c, buf, sizeof buf, 0)) > 0)
			send(c, buf, n, MSG_NOSIGNAL);
		pause();
		printf("closed client : %s:%d\n", ip, ntohs(you.sin_port));
	}
}
