// as: pipe_two
// fails: two_pipes
// says: the child did not get the answer
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int up[2], down[2];
    char buf[64];
    ssize_t n;

    if (pipe(up) || pipe(down))
        return 1;
    if (!fork()) {
        write(up[1], "Who are you?", 12);
        n = read(up[0], buf, sizeof buf);
        printf("child prc result : %.*s\n", (int)n, buf);
        return 0;
    }
    n = read(up[0], buf, sizeof buf);
    printf("parent prc result :%.*s\n", (int)n, buf);
    fflush(stdout);
    write(down[1], "Thank you", 9);
    wait(NULL);
    return 0;
}
