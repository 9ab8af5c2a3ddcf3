/* closing_client HOST PORT [--abort]: connect to a TCP server, then make the calls that are typed. */
#include "lab.h"

int main(int argc, char *argv[])
{
    bool abort_it = argc == 4 && strcmp(argv[3], "--abort") == 0;
    if (argc != (abort_it ? 4 : 3) || !is_host(argv[1]) || !to_port(argv[2]))
        return usage("closing_client HOST PORT [--abort]");
    need_stdin();
    setvbuf(stdout, NULL, _IOLBF, 0);
    int server = connect_to(argv[1], argv[2]);
    printf("connected to %s:%s\n", argv[1], argv[2]);
    if (abort_it)
        linger_0(server);
    make_calls(server);
    return 0;
}
