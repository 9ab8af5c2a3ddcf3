#include "child.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>

static void on_child(int signo)
{
	(void)signo;
	while (waitpid(-1, 0, WNOHANG) > 0)
		;
}

void reaper_on(void)
{
	struct sigaction sa = {0};
	sa.sa_handler = on_child;
	sa.sa_flags = SA_RESTART | SA_NOCLDSTOP;
	sigaction(SIGCHLD, &sa, NULL);
}

void child(int client)
{
	FILE *in = fdopen(client, "r"), *out = fdopen(dup(client), "w");
	int c;

	setvbuf(in, NULL, _IONBF, 0);
	while ((c = getc(in)) != EOF) {
		putc(c, out);
		fflush(out);
	}
}
