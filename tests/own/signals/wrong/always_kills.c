// as: kill
// fails: sends
// says: SIGKILL
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char *argv[])
{
	if (argc != 3) {
		printf("Usage : %s <pid> <signal>\n", argv[0]);
		exit(1);
	}
	if (kill(atoi(argv[1]), SIGKILL) == -1)
		fprintf(stderr, "kill error: %s\n", strerror(errno));
	return 0;
}
