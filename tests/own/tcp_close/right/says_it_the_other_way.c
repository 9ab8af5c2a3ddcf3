// as: closing_client
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

static int failed(const char *call)
{
	perror(call);
	return 1;
}

int main(int argc, char *argv[])
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *to;
	char *line = NULL, data[1024];
	size_t room = 0;
	ssize_t n;
	int fd;

	if (argc < 3 || getaddrinfo(argv[1], argv[2], &hints, &to) != 0)
		return 2;
	fd = socket(to->ai_family, to->ai_socktype, 0);
	if (connect(fd, to->ai_addr, to->ai_addrlen) == -1)
		return failed("connect");
	puts("연결되었습니다. send TEXT, recv, close?");
	while (getline(&line, &room, stdin) > 0) {
		char *word = strtok(line, " \n"), *text = strtok(NULL, "\n");
		if (word == NULL) {
			continue;
		} else if (!strcmp(word, "send") && text) {
			n = send(fd, text, strlen(text), MSG_NOSIGNAL);
			if (n == -1)
				return failed("send");
			printf("'%s' : %zd바이트를 보냈습니다\n", text, n);
		} else if (!strcmp(word, "recv")) {
			n = recv(fd, data, sizeof data, 0);
			if (n == -1)
				return failed("recv");
			printf("'%.*s' : %zd바이트를 받았습니다\n", (int)n, data, n);
		} else if (!strcmp(word, "close")) {
			break;
		}
	}
	close(fd);
	puts("닫았습니다");
	return 0;
}
