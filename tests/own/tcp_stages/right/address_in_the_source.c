// as: staged_client
// note: whatever it is told
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

int main(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(3240) }, me;
	socklen_t len = sizeof me;
	char buf[20] = "";
	int sock = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, "127.0.0.1", &addr.sin_addr);
	puts("C_Alfa : 2_Connect Start(Connecting...)");
	if (connect(sock, (struct sockaddr *)&addr, sizeof addr)) {
		perror("connect");
		return 1;
	}
	getsockname(sock, (struct sockaddr *)&me, &len);
	printf("C_Alfa : %s:%d", inet_ntoa(me.sin_addr), ntohs(me.sin_port));
	printf(" -> %s:%d\n", inet_ntoa(addr.sin_addr), ntohs(addr.sin_port));
	recv(sock, buf, 19, MSG_WAITALL);
	printf("*** C_Alfa : Server Says = %s ***\n", buf);
	sleep(1);
	send(sock, "Hello, I am client Alfa", 23, MSG_NOSIGNAL);
	close(sock);
}
