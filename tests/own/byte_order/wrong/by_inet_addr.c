// as: address_conversion
// fails: all_ones
// says: is not in what it printed
#include <arpa/inet.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
	struct in_addr a;
	unsigned char *b = (unsigned char *)&a;

	if (argc != 2 || (a.s_addr = inet_addr(argv[1])) == INADDR_NONE) {
		fprintf(stderr, "Conversion error\n");
		return 2;
	}
	printf("Network ordered integer addr: %#x\n", a.s_addr);
	printf("Host ordered: %#x\n", ntohl(a.s_addr));
	printf("%02x.%02x.%02x.%02x\n", b[0], b[1], b[2], b[3]);
	printf("%s\n", inet_ntoa(a));
	return 0;
}
