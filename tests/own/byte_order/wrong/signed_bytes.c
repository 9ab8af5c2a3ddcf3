// as: byte_order
// fails: numbers_of_ones_own
// says: ef cd ab 89 is not in what it printed
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static void show(const char *where, unsigned int number)
{
	char *byte = (char *)&number;

	printf("in %s:", where);
	for (int i = 0; i < 4; i++)
		printf(" %02x", byte[i]);
	printf("\n");
}

int main(int argc, char *argv[])
{
	unsigned short port = argc > 1 ? strtol(argv[1], NULL, 0) : 0x1234;
	unsigned int number = argc > 2 ? strtoul(argv[2], NULL, 0) : 0x12345678;

	show("memory", number);
	show("network", htonl(number));
	printf("htons(0x%x) = 0x%x\n", port, htons(port));
	printf("htonl(0x%x) = 0x%x\n", number, htonl(number));
	return 0;
}
