// as: wait_poll
// fails: killed_is_not_exited
// says: killed by signal 9
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap(double s) {
    const char *p = getenv("LAB_PACE");
    if (p) s *= strtod(p, NULL);
    struct timespec t = {(time_t)s, (long)((s - (long)s) * 1e9)};
    while (nanosleep(&t, &t) && errno == EINTR)
        ;
}
int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    pid_t pid = fork();
    if (pid < 0) { perror("fork"); exit(EXIT_FAILURE); }
    if (!pid) { nap(15); _exit(24); }
    printf("내 자식은 %d\n", (int)pid);
    for (;;) {
        siginfo_t i = {0};
        if (waitid(P_PID, pid, &i, WEXITED | WNOHANG)) { perror("waitid"); return 1; }
        if (i.si_pid == 0) { nap(3); puts("sleep 3sec"); continue; }
        if (i.si_code != 0) printf("child send %d\n", i.si_status);
        else printf("child killed by signal %d\n", i.si_status);
        return 0;
    }
}
