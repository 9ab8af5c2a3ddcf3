// as: permissions
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct { mode_t bit; int at; char c; } table[] = {
    {S_IRUSR, 0, 'r'}, {S_IWUSR, 1, 'w'}, {S_IXUSR, 2, 'x'}, {S_IRGRP, 3, 'r'}, {S_IWGRP, 4, 'w'},
    {S_IXGRP, 5, 'x'}, {S_IROTH, 6, 'r'}, {S_IWOTH, 7, 'w'}, {S_IXOTH, 8, 'x'},
};
static void special(char *at, int set, char c) { if (set) *at = *at == 'x' ? c : c - 32; }

int main(int argc, char **argv) {
    if (argc != 2 && !(argc == 4 && !strcmp(argv[2], "--chmod"))) { fprintf(stderr, "usage\n"); return 2; }
    if (argc == 4 && chmod(argv[1], strtol(argv[3], NULL, 8))) { perror("chmod"); return 1; }
    struct stat st;
    if (stat(argv[1], &st)) { perror("stat"); return 1; }
    char text[10] = "---------";
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
        if (st.st_mode & table[i].bit) text[table[i].at] = table[i].c;
    special(text + 2, st.st_mode & S_ISUID, 's');
    special(text + 5, st.st_mode & S_ISGID, 's');
    special(text + 8, st.st_mode & S_ISVTX, 't');
    printf("%s\n%04o %s\n", argv[1], st.st_mode & 07777, text);
    printf("owner %.3s\ngroup %.3s\nothers %.3s\n", text, text + 3, text + 6);
    fflush(stdout);
    if (open(argv[1], O_RDONLY) < 0) { perror("open"); return 1; }
    return 0;
}
