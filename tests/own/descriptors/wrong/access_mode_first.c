// as: open_flags
// fails: any_order
// says: opened with O_APPEND O_RDWR, the file holds 0123ABC789
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct { const char *name; int bits; } known[] = {
	{ "O_RDONLY", O_RDONLY }, { "O_WRONLY", O_WRONLY }, { "O_RDWR", O_RDWR },
	{ "O_CREAT", O_CREAT }, { "O_APPEND", O_APPEND }, { "O_TRUNC", O_TRUNC },
};

int main(int argc, char *argv[])
{
	int flags = 0, fd;
	char buf[5] = "";

	for (int i = 2; i < argc; i++)
		for (unsigned k = 0; k < 6; k++)
			if (!strcmp(argv[i], known[k].name))
				flags = k < 3 ? known[k].bits : flags | known[k].bits;
	printf("flags = 0%o\n", flags);
	fd = open(argv[1], flags, 0644);
	if (fd < 0) {
		perror("open");
		return 1;
	}
	if (read(fd, buf, 4) < 0)
		perror("read");
	else
		printf("read: %s\n", buf);
	if (write(fd, "ABC", 3) < 0)
		perror("write");
	close(fd);
	return 0;
}
