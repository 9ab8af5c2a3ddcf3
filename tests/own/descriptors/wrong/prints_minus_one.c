// as: standard_descriptors
// fails: none_left
// says: there is no descriptor for `more`
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	int i;

	printf("stdin: %d, stdout: %d, stderr: %d\n", fileno(stdin), fileno(stdout), fileno(stderr));
	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--close"))
			close(atoi(argv[i + 1]));
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--close")) {
			i++;
			continue;
		}
		printf("file descriptor of %s: %d\n", argv[i], open(argv[i], O_CREAT | O_RDONLY, 0644));
	}
	return 0;
}
