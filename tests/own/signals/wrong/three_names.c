// as: kill
// fails: names
// says: SIGUSR1 was to be sent
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number(const char *name)
{
	if (!strncmp(name, "SIG", 3))
		name += 3;
	if (!strcmp(name, "KILL"))
		return SIGKILL;
	if (!strcmp(name, "TERM"))
		return SIGTERM;
	if (!strcmp(name, "INT"))
		return SIGINT;
	return atoi(name);
}

int main(int argc, char *argv[])
{
	if (argc != 3) {
		printf("Usage : %s <pid> <signal>\n", argv[0]);
		exit(1);
	}
	if (kill(atoi(argv[1]), number(argv[2])) == -1)
		fprintf(stderr, "kill error: %s\n", strerror(errno));
	return 0;
}
