#include <sys/types.h>
#include <sys/socket.h>
#include "echo.h"

void echo(int client)
{
	char buf[512];
	ssize_t n, sent;

	while ((n = recv(client, buf, sizeof buf, 0)) > 0)
		for (ssize_t at = 0; at < n; at += sent)
			if ((sent = send(client, buf + at, n - at, MSG_NOSIGNAL)) < 0)
				return;
}
