// as: pipe_shared
// fails: one_pipe_and_a_pause
// says: the child did not get the answer
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#define BUF_SIZE 30

int main(void)
{
	int fds[2];
	char str1[] = "Who are you?";
	char str2[] = "Thank you for your message";
	char buf[BUF_SIZE];

	pipe(fds);
	if (fork() == 0) {
		write(fds[1], str1, sizeof(str1));
		read(fds[0], buf, BUF_SIZE);
		printf("Child proc output: %s \n", buf);
	} else {
		sleep(1);
		read(fds[0], buf, BUF_SIZE);
		printf("Parent proc output: %s \n", buf);
		write(fds[1], str2, sizeof(str2));
		sleep(3);
	}
	return 0;
}
