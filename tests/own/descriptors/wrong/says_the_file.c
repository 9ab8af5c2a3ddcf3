// as: standard_descriptors
// fails: names_the_call
// says: open: Too many open files
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	int files = argc, fd;

	printf("0 stdin\n1 stdout\n2 stderr\n");
	fflush(stdout);
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--close") && i + 1 < argc) {
			files = i;
			close(atoi(argv[i + 1]));
		}
	for (int i = 1; i < files; i++) {
		fd = open(argv[i], O_RDONLY | O_CREAT, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
		if (fd < 0) {
			fprintf(stderr, "can't open %s\n", argv[i]);
			return 1;
		}
		printf("%d <- %s\n", fd, argv[i]);
	}
	return 0;
}
