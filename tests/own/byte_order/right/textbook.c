// as: byte_order
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static void bytes(const char *name, unsigned long value)
{
	unsigned char *p = (unsigned char *)&value;
	printf("%s: %02x %02x %02x %02x\n", name, p[0], p[1], p[2], p[3]);
}

int main(int argc, char *argv[])
{
	unsigned short host_port = argc > 1 ? strtoul(argv[1], NULL, 0) : 0x1234;
	unsigned long host_addr = argc > 2 ? strtoul(argv[2], NULL, 0) : 0x12345678;
	unsigned short net_port = htons(host_port);
	unsigned long net_addr = htonl(host_addr);

	printf("Host ordered port: %#x \n", host_port);
	printf("Network ordered port: %#x \n", net_port);
	printf("Host ordered address: %#lx \n", host_addr);
	printf("Network ordered address: %#lx \n", net_addr);
	bytes("memory", host_addr);
	bytes("network", net_addr);
	return 0;
}
