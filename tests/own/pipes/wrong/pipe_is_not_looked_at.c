// as: pipe_one
// fails: no_pipe
// says: pipe can't succeed here
#include <stdio.h>
#include <unistd.h>
#define BUF_SIZE 30

int main(void)
{
	int fds[2], len;
	char buf[BUF_SIZE + 1];
	pid_t pid;

	pipe(fds);
	pid = fork();
	if (pid == 0) {
		write(fds[1], "Who are you?", 12);
	} else {
		close(fds[1]);
		while ((len = read(fds[0], buf, BUF_SIZE)) > 0) {
			buf[len] = 0;
			puts(buf);
		}
	}
	return 0;
}
