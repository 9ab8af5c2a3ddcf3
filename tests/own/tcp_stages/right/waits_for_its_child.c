// as: staged_server
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void serve(int fd, struct sockaddr_in *peer, int number)
{
	FILE *in = fdopen(fd, "r");
	char said[512];
	size_t n;

	printf("client %d: address = %s, port = %u\n", number, inet_ntoa(peer->sin_addr), ntohs(peer->sin_port));
	printf("5_Send\n");
	dprintf(fd, "Hello, I am server.");
	printf("6_Recv\n");
	n = fread(said, 1, sizeof said - 1, in);
	said[n] = '\0';
	printf("client %d says = %s\n", number, said);
	fclose(in);
}

int main(int argc, char *argv[])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0), opt, number = 0;

	address.sin_port = htons(argc == 3 ? atoi(argv[2]) : 3240);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&address, sizeof address) == -1) {
		perror("bind");
		return 1;
	}
	listen(listener, 3);
	setbuf(stdout, NULL);
	for (;;) {
		socklen_t size = sizeof address;
		printf("4_Accept: waiting for a client\n");
		opt = accept(listener, (struct sockaddr *)&address, &size);
		if (fork() == 0) {
			close(listener);
			serve(opt, &address, number);
			exit(0);
		}
		close(opt);
		wait(NULL);
		number++;
	}
}
