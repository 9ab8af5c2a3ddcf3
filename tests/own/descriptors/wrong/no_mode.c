// as: standard_descriptors
// fails: creates
// says: the new file's permissions are
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	int i, fd;

	printf("stdin: %d, stdout: %d, stderr: %d\n", fileno(stdin), fileno(stdout), fileno(stderr));
	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--close"))
			close(atoi(argv[i + 1]));
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--close")) {
			i++;
			continue;
		}
		fd = open(argv[i], O_CREAT | O_RDONLY, 644);
		if (fd == -1) {
			perror("open");
			exit(1);
		}
		printf("file descriptor of %s: %d\n", argv[i], fd);
	}
	return 0;
}
