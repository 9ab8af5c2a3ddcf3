// as: buffer_sizes
// fails: read_back
// says: told to set 5000
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(void)
{
	int sock, snd_buf, rcv_buf, size = 8192;
	socklen_t len = sizeof(int);

	sock = socket(PF_INET, SOCK_STREAM, 0);
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
