// as: pipe_two
// fails: names_the_call
// says: fork: Resource temporarily unavailable
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int up[2], down[2];
    char buf[64];
    ssize_t n;
    pid_t pid;

    if (pipe(up) || pipe(down)) {
        perror("pipe");
        return 1;
    }
    pid = fork();
    if (pid < 0)
        return 1;
    if (!pid) {
        write(up[1], "Who are you?", 12);
        n = read(down[0], buf, sizeof buf);
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
