/* line_client HOST PORT: send each line typed, without its newline, to a server that echoes; END leaves. */
#include "lab.h"

int main(int argc, char *argv[])
{
    if (argc != 3 || !is_host(argv[1]) || !to_port(argv[2]))
        return usage("line_client HOST PORT");
    need_stdin();
    int server = connect_to(argv[1], argv[2]);
    for (;;) {
        ask("Input message(END to quit): ");
        char line[1024];
        size_t read = read_line(line, sizeof line), length = without_newline(line, read);
        if (read == 0 || (length == 3 && memcmp(line, "END", 3) == 0))
            break;
        if (length == 0)
            continue;
        if (!send_all(server, line, length))
            fail("send");
        receive_all(server, line, length);
        printf("Message from server : ");
        print_line(line, length);
    }
    close(server);
    return 0;
}
