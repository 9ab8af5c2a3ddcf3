// as: wait_poll
// fails: is_not_held_up
// says: it says nothing more
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

int main(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		sleep(15);
		return 24;
	}
	puts("sleep 3sec.");
	waitpid(-1, &status, 0);
	if (WIFEXITED(status))
		printf("Child send %d \n", WEXITSTATUS(status));
	return 0;
}
