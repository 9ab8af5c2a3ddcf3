/* echo_client HOST PORT: send each line typed to an echo server and print its answer; Q or q leaves. */
#include "lab.h"

int main(int argc, char *argv[])
{
    if (argc != 3 || !is_host(argv[1]) || !to_port(argv[2]))
        return usage("echo_client HOST PORT");
    need_stdin();
    int server = connect_to(argv[1], argv[2]);
    for (;;) {
        ask("Input message(Q to quit): ");
        char line[1024];
        size_t length = read_line(line, sizeof line), text = without_newline(line, length);
        if (length == 0 || (text == 1 && (line[0] == 'Q' || line[0] == 'q')))
            break;
        if (!send_all(server, line, length))
            fail("send");
        receive_all(server, line, length);
        printf("Message from server : ");
        print_line(line, text);
    }
    close(server);
    return 0;
}
