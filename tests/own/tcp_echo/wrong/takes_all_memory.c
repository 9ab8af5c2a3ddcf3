// as: echo_server
// fails: listens
// says: no memory
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
	for (;;) {
		char *more = malloc(300 << 20);
		if (!more) {
			puts("no memory");
			return 1;
		}
		more[0] = 1;
	}
}
