// as: pipe_two
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { R, W };

static void show(const char *who, int fd)
{
	char c;

	printf("%s got \"", who);
	while (read(fd, &c, 1) == 1)
		putchar(c);
	printf("\"\n");
	fflush(stdout);
	close(fd);
}

int main(void)
{
	int to_parent[2], to_child[2];

	if (pipe(to_parent) < 0 || pipe(to_child) < 0) {
		perror("pipe");
		exit(1);
	}
	if (fork() == 0) {
		close(to_parent[R]);
		close(to_child[W]);
		write(to_parent[W], "Who are you?", 12);
		close(to_parent[W]);
		show("child", to_child[R]);
		exit(0);
	}
	close(to_parent[W]);
	close(to_child[R]);
	show("parent", to_parent[R]);
	write(to_child[W], "Thank you", 9);
	close(to_child[W]);
	wait(NULL);
	return 0;
}
