// as: permissions
// fails: three_groups
// says: killed by SIG
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void explain(mode_t mode)
{
	char text[4] = "";

	for (int i = 8; i >= 0; i--) {
		char one[2] = { mode >> i & 1 ? "xwr"[i % 3] : '-', 0 };
		strcat(text, one);
	}
	printf("-%s %04o\n", text, mode & 07777);
	fflush(stdout);
}

int main(int argc, char *argv[])
{
	struct stat st;

	if (argc < 2 || stat(argv[1], &st) < 0)
		return 1;
	explain(st.st_mode);
	return 0;
}
