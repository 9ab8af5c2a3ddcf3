// as: send_number
// fails: always_four
// says: came on the wire, not 00 00 00 01
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	struct sockaddr_in to;
	uint32_t number = argc > 3 ? strtoul(argv[3], NULL, 0) : 0x12345678;
	char buf[5] = "";
	int sock = socket(PF_INET, SOCK_DGRAM, 0);

	if (argc < 3)
		return 2;
	memset(&to, 0, sizeof(to));
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = inet_addr(argv[1]);
	to.sin_port = htons(atoi(argv[2]));
	number = htonl(number);
	memcpy(buf, &number, 4);
	sendto(sock, buf, number ? strlen(buf) : 4, 0, (struct sockaddr *)&to, sizeof(to));
	return 0;
}
