// as: wait_poll
// fails: killed_is_not_exited
// says: killed by signal 9
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
	while (!waitpid(-1, &status, WNOHANG)) {
		sleep(3);
		puts("sleep 3sec.");
	}
		printf("Child send %d \n", WEXITSTATUS(status));
	return 0;
}
