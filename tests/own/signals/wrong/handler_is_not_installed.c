// as: handlers
// fails: three_dispositions
// says: SIGUSR1 came under SIG_DFL
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

void hello(int signo)
{
	printf("got %d\n", signo);
	fflush(stdout);
}

int main(void)
{
	if (signal(SIGKILL, SIG_IGN) == SIG_ERR)
		perror("SIGKILL can't be ignored");
	kill(getpid(), SIGUSR1);
	if (signal(SIGUSR1, SIG_IGN) == hello)
		puts("it was hello");
	kill(getpid(), SIGUSR1);
	signal(SIGUSR1, SIG_DFL);
	kill(getpid(), SIGUSR1);
	puts("not reached");
	return 0;
}
