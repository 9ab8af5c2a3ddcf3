// as: zombie
// fails: stays_as_a_zombie
// says: until its parent waits for it
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>

int main(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		puts("Hi, I am a child process");
	} else {
		printf("Child Process ID: %d \n", pid);
		waitpid(pid, NULL, 0);
		sleep(30);
	}
	if (pid == 0)
		puts("End child process");
	else
		puts("End parent process");
	return 0;
}
