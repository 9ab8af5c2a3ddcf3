// as: address_conversion
// fails: other_forms
// says: of 192.168.1,
#include <arpa/inet.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
	struct in_addr a;
	unsigned p, q, r, s;
	unsigned char *b = (unsigned char *)&a;

	if (argc != 2 || sscanf(argv[1], "%u.%u.%u.%u", &p, &q, &r, &s) != 4 || p > 255 || q > 255 || r > 255 || s > 255) {
		fprintf(stderr, "Conversion error\n");
		return 2;
	}
	a.s_addr = htonl(p << 24 | q << 16 | r << 8 | s);
	printf("Network ordered integer addr: %#x\n", a.s_addr);
	printf("Host ordered: %#x\n", ntohl(a.s_addr));
	printf("%02x.%02x.%02x.%02x\n", b[0], b[1], b[2], b[3]);
	printf("%s\n", inet_ntoa(a));
	return 0;
}
