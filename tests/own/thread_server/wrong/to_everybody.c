// as: thread_server
// fails: at_once
// says: 'of client 2
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_CLNT 256

int clnt_cnt, clnt_socks[MAX_CLNT], messages;
pthread_mutex_t mutx = PTHREAD_MUTEX_INITIALIZER;

void *handle_clnt(void *arg)
{
	int sock = (int)(long)arg, len, i;
	char msg[100];

	while ((len = read(sock, msg, sizeof(msg))) > 0) {
		pthread_mutex_lock(&mutx);
		printf("%d %.*s\n", ++messages, len, msg);
		for (i = 0; i < clnt_cnt; i++)
			write(clnt_socks[i], msg, len);
		pthread_mutex_unlock(&mutx);
	}
	pthread_mutex_lock(&mutx);
	for (i = 0; i < clnt_cnt; i++)
		if (clnt_socks[i] == sock)
			clnt_socks[i] = clnt_socks[--clnt_cnt];
	pthread_mutex_unlock(&mutx);
	close(sock);
	return NULL;
}

int main(int argc, char *argv[])
{
	int serv_sock = socket(PF_INET, SOCK_STREAM, 0), on = 1;
	struct sockaddr_in adr = { .sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 9190) };
	pthread_t t_id;

	setsockopt(serv_sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(serv_sock, (struct sockaddr *)&adr, sizeof(adr)) == -1)
		return 1;
	listen(serv_sock, 5);
	while (1) {
		int sock = accept(serv_sock, NULL, NULL);

		pthread_mutex_lock(&mutx);
		clnt_socks[clnt_cnt++] = sock;
		pthread_mutex_unlock(&mutx);
		pthread_create(&t_id, NULL, handle_clnt, (void *)(long)sock);
		pthread_detach(t_id);
	}
}
