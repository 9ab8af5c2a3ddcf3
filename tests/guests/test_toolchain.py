"""Are the tools on every guest what the role toolchain promises?"""

from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://guests"]

# A TCP connection over loopback, in C: what students write, through every header and call it needs.
PROGRAM = r"""
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    char text[6] = "";
    int listening = socket(PF_INET, SOCK_STREAM, 0), client = socket(PF_INET, SOCK_STREAM, 0), server;
    if (bind(listening, (struct sockaddr *)&address, length) || listen(listening, 5)) return 1;
    if (getsockname(listening, (struct sockaddr *)&address, &length)) return 1;
    if (connect(client, (struct sockaddr *)&address, length)) return 1;
    if ((server = accept(listening, NULL, NULL)) < 0 || write(server, "hello", 5) != 5) return 1;
    if (read(client, text, 5) != 5) return 1;
    puts(text);
    return 0;
}
"""


def test_tools_are_installed(variables: dict[str, Any], installed: set[str]) -> None:
    assert {*variables["toolchain_packages"], *variables["toolchain_more_packages"]} - installed == set()


def test_there_is_a_manual_and_its_index(host: Host) -> None:
    pages = {"ls": 1, "accept": 2, "printf": 3, "nanorc": 5, "tcp": 7, "tcpdump": 8}
    missing = [page for page, section in pages.items() if host.run("man --where %s %s", str(section), page).rc]
    assert missing == []
    assert "accept a connection on a socket" in host.check_output("whatis --sections=2 accept")


def test_compiles_and_runs_a_c_program(host: Host) -> None:
    script = f"""
folder=$(mktemp --directory) && trap 'rm -r "$folder"' EXIT && cd "$folder" &&
cat > hello.c <<'END' && gcc -Wall -Wextra -Werror -g hello.c -o hello && ./hello{PROGRAM}END
"""
    run = host.run("sh -c %s", script)
    assert (run.rc, run.stdout) == (0, "hello\n"), run.stderr
