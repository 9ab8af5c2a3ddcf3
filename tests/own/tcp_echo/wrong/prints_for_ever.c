// as: echo_server
// fails: listens
// says: printed more than 4 MiB and was stopped
#include <stdio.h>
int main(void)
{
	for (;;)
		puts("listening ...");
}
