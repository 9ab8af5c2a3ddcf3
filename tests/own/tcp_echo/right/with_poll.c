// as: echo_server
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	struct pollfd watched[64];
	int count = 1, i;
	struct sockaddr_in address = {.sin_family = AF_INET};
	char text[300];

	if (argc < 2) {
		fprintf(stderr, "usage: %s port\n", argv[0]);
		return 1;
	}
	address.sin_port = htons(atoi(argv[1]));
	watched[0] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
	if (bind(watched[0].fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(watched[0].fd, 10) < 0) {
		perror(argv[0]);
		return 1;
	}
	for (;;) {
		poll(watched, count, -1);
		if (watched[0].revents && count < 64)
			watched[count++] = (struct pollfd){.fd = accept(watched[0].fd, NULL, NULL), .events = POLLIN};
		for (i = count - 1; i > 0; i--) {
			if (!watched[i].revents)
				continue;
			int length = read(watched[i].fd, text, sizeof text);
			if (length <= 0) {
				close(watched[i].fd);
				watched[i] = watched[--count];
			}
			for (int sent = 0, n; sent < length; sent += n)
				if ((n = send(watched[i].fd, text + sent, length - sent, MSG_NOSIGNAL)) < 0)
					break;
		}
	}
}
