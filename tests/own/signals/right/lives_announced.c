// as: sigint_lives
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t left = 10, caught;

static void on_int(int signo)
{
	(void)signo;
	caught = 1;
}

int main(void)
{
	sigset_t block, before;

	signal(SIGINT, on_int);
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &before);
	printf("I have 10 lives: Ctrl+C\n");
	while (left > 0) {
		sigsuspend(&before);
		if (caught) {
			caught = 0;
			printf("lives left: %d\n", (int)left--);
		}
	}
	signal(SIGINT, SIG_DFL);
	for (;;)
		sigsuspend(&before);
}
