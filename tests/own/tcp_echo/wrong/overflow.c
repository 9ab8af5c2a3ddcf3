// as: iterative_server
// fails: any_length
// says: overflow.c:26: index 1024 out of bounds
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	char message[1024], spare[4096];
	int client, length, server = socket(PF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET};

	if (argc != 2)
		return 1;
	address.sin_port = htons(atoi(argv[1]));
	if (bind(server, (struct sockaddr *)&address, sizeof(address)) || listen(server, 5))
		return 1;
	spare[0] = 0;
	for (;;) {
		client = accept(server, NULL, NULL);
		while ((length = read(client, message, 1024)) > 0) {
			message[length] = 0; /* one too many, when all 1024 come at once */
			write(client, message, length);
		}
		close(client);
	}
	return spare[0];
}
