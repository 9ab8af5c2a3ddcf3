// as: permissions
// fails: link
// says: rwxr-xr-- is not in what it printed
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
	struct stat st;
	char text[11] = "----------";
	const char *letters = "rwxrwxrwx";

	if (argc > 3)
		chmod(argv[1], strtol(argv[3], NULL, 8));
	if (argc < 2 || lstat(argv[1], &st) < 0) {
		perror("stat");
		return 1;
	}
	for (int i = 0; i < 9; i++)
		if (st.st_mode & (0400 >> i))
			text[i + 1] = letters[i];
	if (st.st_mode & S_ISUID)
		text[3] = text[3] == 'x' ? 's' : 'S';
	if (st.st_mode & S_ISGID)
		text[6] = text[6] == 'x' ? 's' : 'S';
	if (st.st_mode & S_ISVTX)
		text[9] = text[9] == 'x' ? 't' : 'T';
	printf("%s (%o)\n", text, st.st_mode & 07777);
	return 0;
}
