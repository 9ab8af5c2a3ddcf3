// as: udp_echo_client
// note: what it asks for when it starts was typed
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    char host[64], message[2048];
    int port;
    struct sockaddr_in to;

    printf("IP 주소: ");
    if (scanf("%63s", host) != 1) return 1;
    printf("포트: ");
    if (scanf("%d", &port) != 1) return 1;
    while (getchar() != '\n')
        ;
    memset(&to, 0, sizeof(to));
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) {
        fprintf(stderr, "잘못된 주소: %s\n", host);
        return 1;
    }
    int sock = socket(PF_INET, SOCK_DGRAM, 0);
    while (1) {
        printf("메시지(q로 종료): ");
        fflush(stdout);
        if (!fgets(message, sizeof(message), stdin)) break;
        message[strcspn(message, "\n")] = 0;
        if (!strcmp(message, "q") || !strcmp(message, "Q")) break;
        sendto(sock, message, strlen(message), 0, (struct sockaddr *)&to, sizeof(to));
        ssize_t n = recvfrom(sock, message, sizeof(message) - 1, 0, NULL, NULL);
        if (n < 0) { perror("recvfrom"); return 1; }
        message[n] = 0;
        printf("서버에서 온 메시지: %s\n", message);
    }
    close(sock);
    return 0;
}
