// as: pipe_two
// fails: nothing_else
// says: nobody has written
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int up[2], down[2];
    char buf[64] = "";
    ssize_t n;

    if (pipe(up) || pipe(down))
        return 1;
    if (!fork()) {
        write(up[1], "Who are you?", 12);
        n = read(down[0], buf, sizeof buf);
        printf("child prc result : %.*s\n", (int)n, buf);
        return 0;
    }
    n = read(up[0], buf, sizeof buf);
    fwrite(buf, 1, 40, stdout), puts("");
    fflush(stdout);
    write(down[1], "Thank you", 9);
    wait(NULL);
    return 0;
}
