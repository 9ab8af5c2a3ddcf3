// as: iterative_server
// fails: pieces
// says: 'in three pieces\n'
#include <stdlib.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	int client, length, i, s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
	char text[100000];

	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 5))
		return 1;
	for (;;) {
		client = accept(s, NULL, NULL);
		for (i = 0; (length = read(client, text, sizeof text)) > 0; i++)
			if (text[0] != 't') /* loses what comes in the middle */
				write(client, text, length);
		close(client);
	}
}
