// as: wait_poll
// fails: is_not_held_up
// says: took it for one that has ended
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
	while (!waitpid(-1, &status, WNOHANG | WUNTRACED)) {
		sleep(3);
		puts("sleep 3sec.");
	}
	if (WIFEXITED(status) || WIFSTOPPED(status))
		printf("Child send %d \n", WEXITSTATUS(status));
	return 0;
}
