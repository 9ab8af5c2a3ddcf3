// as: staged_server
// note: whatever it is told
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#define PORT 3240

int main(void)
{
	int on = 1, n = 0;
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in me = { .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = INADDR_ANY };

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(s, (struct sockaddr *)&me, sizeof me) < 0) {
		perror("bind");
		return 1;
	}
	listen(s, 10);
	for (;;) {
		struct sockaddr_in you;
		socklen_t len = sizeof you;
		char c;
		int fd;

		printf("[%d] accept 대기 중...\n", n);
		fd = accept(s, (struct sockaddr *)&you, &len);
		printf("[%d] %s:%d 연결됨 (fd %d)\n", n, inet_ntoa(you.sin_addr), ntohs(you.sin_port), fd);
		send(fd, "Hello, I am server.", 19, MSG_NOSIGNAL);
		printf("[%d] recv 대기 중...\n", n++);
		while (recv(fd, &c, 1, 0) == 1)
			putchar(c);
		putchar('\n');
		close(fd);
	}
}
