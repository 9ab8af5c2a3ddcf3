#include "child.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1, c;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 7000) };

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (void *)&a, sizeof a) < 0) {
		perror("bind");
		return 1;
	}
	listen(s, 128);
	reaper_on();
	while ((c = accept(s, NULL, NULL)) >= 0) {
		if (!fork()) {
			close(s);
			child(c);
			_exit(0);
		}
		close(c);
	}
	perror("accept");
}
