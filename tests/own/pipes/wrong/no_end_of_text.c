// as: pipe_one
// fails: nothing_else
// says: printed more than was written
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
			buf[len] = 'x';
			buf[len + 1] = 0;
			puts(buf);
		}
	}
	return 0;
}
