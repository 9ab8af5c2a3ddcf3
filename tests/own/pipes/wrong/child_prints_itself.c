// as: pipe_one
// fails: through_a_pipe
// says: no process has read from a pipe
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int fds[2];

	pipe(fds);
	if (fork() == 0) {
		printf("Who are you?\n");
		return 0;
	}
	wait(NULL);
	return 0;
}
