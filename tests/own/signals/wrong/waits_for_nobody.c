// as: reap
// fails: no_child
// says: it sleeps, or waits
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t reaped;
static int once;

static void on_child(int signo)
{
	(void)signo;
	while (waitpid(-1, NULL, WNOHANG) > 0) {
		reaped++;
		if (once)
			return;
	}
}

int main(int argc, char **argv)
{
	struct sigaction act;
	sigset_t chld, before;
	siginfo_t info;

	once = argc > 1 && strcmp(argv[1], "--one-per-signal") == 0;
	memset(&act, 0, sizeof act);
	act.sa_handler = on_child;
	sigemptyset(&act.sa_mask);
	sigaction(SIGCHLD, &act, NULL);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &before);
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
		printf("child %d ended\n", i);
	}
	usleep(100000);
	sigsuspend(&before);
	printf("zombies: %d\n", 5 - (int)reaped);
	for (int i = sleep(10); i > 0;)
		i = sleep(i);
	return 0;
}
