// as: alarm
// fails: wakes
// says: SIGALRM does not end its sleep
#include <stdio.h>
#include <unistd.h>
#include <signal.h>

void timeout(int sig)
{
	if (sig == SIGALRM)
		puts("Time out!");
}

int main(void)
{
	int i;

	signal(SIGALRM, timeout);
	alarm(2);
	for (i = 0; i < 3; i++) {
		puts("wait...");
		sleep(100);
	}
	return 0;
}
