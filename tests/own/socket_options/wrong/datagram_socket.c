// as: buffer_sizes
// fails: as_found
// says: of a new TCP socket is
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char *argv[])
{
	int sock, snd_buf, rcv_buf, size = argc > 1 ? atoi(argv[1]) : 8192;
	socklen_t len = sizeof(int);

	sock = socket(PF_INET, SOCK_DGRAM, 0);
	getsockopt(sock, SOL_SOCKET, SO_SNDBUF, &snd_buf, &len);
	getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &rcv_buf, &len);
	printf("Output buffer size: %d\nInput buffer size: %d\n", snd_buf, rcv_buf);
	if (setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == -1
	    || setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == -1) {
		perror("setsockopt");
		exit(1);
	}
	getsockopt(sock, SOL_SOCKET, SO_SNDBUF, &snd_buf, &len);
	getsockopt(sock, SOL_SOCKET, SO_RCVBUF, &rcv_buf, &len);
	printf("Output buffer size: %d\nInput buffer size: %d\n", snd_buf, rcv_buf);
	return 0;
}
