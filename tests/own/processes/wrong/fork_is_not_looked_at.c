// as: wait_two
// fails: no_child
// says: ended with status 0
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

int main(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		return 3;
	printf("Child PID: %d \n", pid);
	pid = fork();
	if (pid == 0)
		exit(7);
	printf("Child PID: %d \n", pid);
	wait(&status);
	if (WIFEXITED(status))
		printf("Child send one: %d \n", WEXITSTATUS(status));
	wait(&status);
	if (WIFEXITED(status))
		printf("Child send two: %d \n", WEXITSTATUS(status));
	return 0;
}
