// as: sigint_lives
// fails: eleventh
// says: has not its default action again
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t lives = 10;

static void on_int(int signo)
{
    char line[40];
    int n = snprintf(line, sizeof line, "아야! 목숨 %d개\n", (int)lives);
    write(1, line, n);
    (void)signo;
    if (lives-- == 0)
        _exit(0);
}

int main(void)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_int;
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    puts("press Ctrl+C");
    for (;;)
        pause();
}
