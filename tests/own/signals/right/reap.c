// as: reap
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int all = 1, left = 5;

static void on_child(int signo)
{
	(void)signo;
	do {
		if (waitpid(-1, NULL, WNOHANG) <= 0)
			break;
		left--;
	} while (all);
}

int main(int argc, char **argv)
{
	sigset_t chld, old;
	struct sigaction act = { .sa_handler = on_child };

	all = !(argc > 1 && !strcmp(argv[1], "--one-per-signal"));
	sigaction(SIGCHLD, &act, NULL);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &old);
	for (int i = 0; i < 5; i++) {
		siginfo_t info;
		switch (fork()) {
		case -1:
			return 1;
		case 0:
			_exit(0);
		}
		waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
	}
	usleep(200000);
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("zombies left = %d\n", left);
	fflush(stdout);
	sleep(10);
	return 0;
}
