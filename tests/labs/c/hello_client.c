/* hello_client HOST PORT: connect and print what the server sends, to the end. */
#include "lab.h"

int main(int argc, char *argv[])
{
    if (argc != 3 || !is_host(argv[1]) || !to_port(argv[2]))
        return usage("hello_client HOST PORT");
    int server = connect_to(argv[1], argv[2]);
    printf("Message from server : ");
    char piece[1024];
    ssize_t received;
    while ((received = recv(server, piece, sizeof piece, 0)) > 0)
        fwrite(piece, 1, (size_t)received, stdout);
    if (received == -1)
        fail("recv");
    close(server);
    return 0;
}
