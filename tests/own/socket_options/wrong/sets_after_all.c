// as: get_set_options
// fails: switched_on
// says: SO_KEEPALIVE was to be set
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

struct option {
	const char *name;
	int level, number;
} options[] = {
	{ "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE },
	{ "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR },
	{ "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY },
};

static int get(int sock, struct option *o)
{
	int value;
	socklen_t size = sizeof value;

	if (getsockopt(sock, o->level, o->number, &value, &size) < 0) {
		perror("getsockopt");
		exit(1);
	}
	return value;
}

int main(int argc, char **argv)
{
	int udp = argc == 2 && strcmp(argv[1], "--udp") == 0, on = 7;
	int sock = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);

	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		int before = get(sock, &options[i]), after = get(sock, &options[i]);
		printf("%-15s %d -> %d\n", options[i].name, before, after);
		setsockopt(sock, options[i].level, options[i].number, &on, sizeof on);
	}
	return 0;
}
