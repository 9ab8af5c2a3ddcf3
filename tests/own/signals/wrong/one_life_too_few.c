// as: sigint_lives
// fails: ten_lives
// says: at Ctrl+C 1 it did not print 10
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t lives = 9;

static void on_int(int signo)
{
    char line[40];
    int n = snprintf(line, sizeof line, "아야! 목숨 %d개\n", (int)lives);
    write(1, line, n);
    if (--lives == 0)
        signal(signo, SIG_DFL);
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
