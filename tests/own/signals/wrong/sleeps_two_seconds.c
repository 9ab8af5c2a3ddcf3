// as: alarm
// fails: each_sleep_has_an_alarm
// says: SIGALRM never came
#include <stdio.h>
#include <unistd.h>
#include <signal.h>

void timeout(int sig)
{
	if (sig == SIGALRM)
		puts("timeout~");
}

int main(void)
{
	int i;

	signal(SIGALRM, timeout);
	for (i = 0; i < 5; i++) {
		puts("wait...");
		sleep(2);
		timeout(SIGALRM);
	}
	return 0;
}
