// as: wait_poll
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int status, ret;
	pid_t child = fork();

	if (child < 0) {
		perror("fork");
		return 1;
	}
	if (child == 0) {
		sleep(15);
		exit(24);
	}
	while ((ret = waitpid(child, &status, WNOHANG)) == 0) {
		printf("waitpid returned %d\n", ret);
		sleep(3);
	}
	printf("waitpid returned %d\n", ret);
	if (WIFEXITED(status))
		printf("exit status %d\n", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	return 0;
}
