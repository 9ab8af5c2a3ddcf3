// as: pipe_two
// fails: two_pipes
// says: killed by SIGSEGV
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int up[2], down[2], len, *status = NULL;
	char buf[100];

	pipe(up);
	pipe(down);
	if (fork() == 0) {
		write(up[1], "Who are you?", 12);
		len = read(down[0], buf, sizeof(buf));
		printf("child prc result : %.*s\n", len, buf);
		return 0;
	}
	len = read(up[0], buf, sizeof(buf));
	printf("parent prc result :%.*s\n", len, buf);
	write(down[1], "Thank you", 9);
	wait(NULL);
	printf("child ended with %d\n", *status);
	return 0;
}
