/* file_client HOST PORT [OUTPUT]: receive a file to its end, then thank the server on the same connection. */
#include "lab.h"

int main(int argc, char *argv[])
{
    if ((argc != 3 && argc != 4) || !is_host(argv[1]) || !to_port(argv[2]))
        return usage("file_client HOST PORT [OUTPUT]");
    int server = connect_to(argv[1], argv[2]);
    FILE *output = fopen(argc == 4 ? argv[3] : "receive.dat", "wb");
    if (output == NULL)
        fail("open");

    char piece[1024];
    ssize_t length;
    while ((length = recv(server, piece, sizeof piece, 0)) > 0)
        if (fwrite(piece, 1, (size_t)length, output) < (size_t)length)
            fail("write");
    if (length == -1)
        fail("recv");
    if (fclose(output) == EOF)
        fail("write");
    printf("Receive file data\n");
    if (!send_all(server, "Thank you", strlen("Thank you")))
        fail("send");
    close(server);
    return 0;
}
