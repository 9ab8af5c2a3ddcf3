// as: wait_poll
// fails: no_child
// says: it sleeps, or waits
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		sleep(15);
		exit(24);
	}
	while (waitpid(child, &status, WNOHANG) <= 0) {
		puts("still running");
		sleep(3);
	}
	if (WIFEXITED(status))
		printf("exit status %d\n", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	return 0;
}
