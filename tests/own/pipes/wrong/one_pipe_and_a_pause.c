// as: pipe_two
// fails: each_its_own
// says: the same pipe
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int fds[2], len;
	char buf[100];

	pipe(fds);
	if (fork() == 0) {
		write(fds[1], "Who are you?", 12);
		sleep(1);
		len = read(fds[0], buf, sizeof(buf));
		printf("child prc result : %.*s\n", len, buf);
		return 0;
	}
	len = read(fds[0], buf, sizeof(buf));
	printf("parent prc result :%.*s\n", len, buf);
	write(fds[1], "Thank you", 9);
	wait(NULL);
	return 0;
}
