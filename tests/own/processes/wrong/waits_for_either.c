// as: wait_two
// fails: both_statuses
// says: 1 of its children
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

int main(void)
{
	int status, first;

	if (fork() == 0)
		exit(3);
	if (fork() == 0) {
		usleep(300000); /* as a child that waits for a processor: it ends after the lines are printed */
		exit(7);
	}
	wait(&status);
	first = WEXITSTATUS(status);
	printf("child send one: %d\n", first);
	printf("child send two: %d\n", first == 3 ? 7 : 3);
	fflush(stdout);
	sleep(2);
	return 0;
}
