// as: address_conversion
// fails: back_to_text
// says: 192.168.0.1 is not in what it printed
#include <arpa/inet.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
	struct in_addr a;
	unsigned char *b = (unsigned char *)&a;

	if (argc != 2 || !inet_aton(argv[1], &a)) {
		fprintf(stderr, "Conversion error\n");
		return 2;
	}
	printf("Network ordered integer addr: %#x\n", a.s_addr);
	printf("Host ordered: %#x\n", ntohl(a.s_addr));
	printf("%02x.%02x.%02x.%02x\n", b[0], b[1], b[2], b[3]);
	a.s_addr = ntohl(a.s_addr);
	printf("%s\n", inet_ntoa(a));
	return 0;
}
