// as: thread_server
#include <csignal>
#include <iostream>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

class Counter {
    std::mutex mutex;
    int total = 0;

  public:
    void count(const std::string &text)
    {
        std::lock_guard<std::mutex> guard(mutex);
        std::cout << "message no. " << ++total << ": " << text << std::endl;
    }
};

Counter counter;

void session(int client)
{
    char buffer[1500];
    ssize_t n;
    while ((n = read(client, buffer, sizeof buffer)) > 0) {
        counter.count(std::string(buffer, n));
        for (ssize_t sent = 0, k; sent < n; sent += k)
            if ((k = write(client, buffer + sent, n - sent)) < 0)
                break;
    }
    close(client);
}

int main(int argc, char **argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(argc > 1 ? std::stoi(argv[1]) : 9090);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) || listen(listener, 50)) {
        std::cerr << "bind failed" << std::endl;
        return 1;
    }
    while (int client = accept(listener, nullptr, nullptr))
        std::thread(session, client).detach();
}
