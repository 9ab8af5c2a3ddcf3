// as: address_conversion
// fails: back_to_text
// says: 1.0.168.192
#include <stdio.h>
#include <stdlib.h>
#include <arpa/inet.h>
int main(int argc, char *argv[])
{
    struct in_addr in;
    if (argc != 2) return 2;
    if (!inet_aton(argv[1], &in)) { fprintf(stderr, "%s: malformed\n", argv[1]); return 2; }
    unsigned int a = inet_addr(argv[1]);
    unsigned char *p = (void *)&in;
    printf("inet_addr: %#x\n", a);
    printf("network order: %#x\n", ntohl(a));
    printf("bytes: %d.%d.%d.%d\n", p[0], p[1], p[2], p[3]);
    printf("inet_ntoa: %s\n", inet_ntoa((struct in_addr){htonl(in.s_addr)}));
    return 0;
}
