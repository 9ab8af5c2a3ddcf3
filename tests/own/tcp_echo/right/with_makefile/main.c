#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "echo.h"

int main(int argc, char **argv)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), c, on = 1;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = INADDR_ANY};

	a.sin_port = htons(argc > 1 ? atoi(argv[1]) : 9090);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(s, (struct sockaddr *)&a, sizeof a) < 0 || listen(s, 2) < 0) {
		perror("server");
		return 1;
	}
	while ((c = accept(s, NULL, NULL)) >= 0) {
		echo(c);
		close(c);
	}
	return 0;
}
