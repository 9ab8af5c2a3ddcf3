#include <iostream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main()
{
    int port;
    std::cout << "Port? " << std::flush;
    std::cin >> port;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (bind(server, reinterpret_cast<sockaddr *>(&address), sizeof address) < 0 || listen(server, 5) < 0)
        return 1;
    for (;;) {
        int client = accept(server, nullptr, nullptr);
        char buffer[2048];
        ssize_t length;
        while ((length = read(client, buffer, sizeof buffer)) > 0)
            for (ssize_t sent = 0, n; sent < length; sent += n)
                if ((n = send(client, buffer + sent, length - sent, MSG_NOSIGNAL)) <= 0)
                    break;
        close(client);
    }
}
