// as: pipe_shared
// fails: one_pipe_and_a_pause
// says: 2 pipes
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int up[2], down[2], len;
	char buf[100];

	pipe(up);
	pipe(down);
	if (fork() == 0) {
		write(up[1], "Who are you?", 12);
		sleep(2);
		len = read(down[0], buf, sizeof(buf));
		printf("child prc result : %.*s\n", len, buf);
		return 0;
	}
	sleep(1);
	len = read(up[0], buf, sizeof(buf));
	printf("parent prc result :%.*s\n", len, buf);
	write(down[1], "Thank you", 9);
	wait(NULL);
	return 0;
}
