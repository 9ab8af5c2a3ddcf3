// as: open_flags
// fails: any_bytes
// says: behind a zero byte
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static struct { const char *name; int flag; } table[] = {
    {"O_RDONLY", O_RDONLY}, {"O_WRONLY", O_WRONLY}, {"O_RDWR", O_RDWR},
    {"O_CREAT", O_CREAT}, {"O_APPEND", O_APPEND}, {"O_TRUNC", O_TRUNC}, {NULL, 0}};
int main(int argc, char **argv)
{
    int flags = 0, fd, i, j, n;
    char buf[4096];
    if (argc < 3) { fprintf(stderr, "usage: %s FILE FLAG...\n", argv[0]); return 2; }
    for (i = 2; i < argc; i++) {
        for (j = 0; table[j].name && strcmp(table[j].name, argv[i]); j++);
        if (!table[j].name) { fprintf(stderr, "unknown flag %s\n", argv[i]); return 2; }
        printf("%-8s %05o\n", table[j].name, table[j].flag);
        flags |= table[j].flag;
    }
    printf("flags    %05o\n", flags);
    if ((fd = open(argv[1], flags, 0644)) < 0) { perror("open"); return 1; }
    printf("open     %d\n", fd);
    if ((n = read(fd, buf, 4)) < 0) perror("read");
    else { printf("read     "); fwrite(buf, 1, n, stdout); putchar('\n'); }
    if (write(fd, "ABC", 3) < 0) perror("write");
    else puts("write    ABC");
    close(fd);
    fd = open(argv[1], O_RDONLY);
    if (fd < 0) { perror("open"); return 1; }
    printf("content  ");
    while ((n = read(fd, buf, sizeof buf)) > 0) { buf[n < 4095 ? n : 4095] = 0; printf("%s", buf); }
    putchar('\n');
    return 0;
}
