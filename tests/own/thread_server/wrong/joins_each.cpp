// as: thread_server
// fails: at_once
// says: nothing came
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

class Counter {
    std::mutex lock_;
    long n_ = 0;
  public:
    void message(int port, const std::string &text) {
        std::lock_guard<std::mutex> held(lock_);
        std::ostringstream line;
        line << "message " << n_ + 1 << " from Client(" << port << "): " << text << "\n";
        std::fputs(line.str().c_str(), stdout);
        std::fflush(stdout);
        ++n_;
    }
    long total() { return n_; }
};
static Counter counter;

static void serve(int fd, sockaddr_in who) {
    int port = ntohs(who.sin_port);
    std::vector<char> buffer(1024);
    for (;;) {
        ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
        if (n <= 0) break;
        counter.message(port, std::string(buffer.data(), n));
        ssize_t at = 0;
        while (at < n) {
            ssize_t k = send(fd, buffer.data() + at, n - at, MSG_NOSIGNAL);
            if (k < 0) break;
            at += k;
        }
        if (at < n) break;
    }
    std::printf("Client(%d): is disconnected\n", port);
    std::fflush(stdout);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(std::atoi(argv[1]));
    if (bind(s, reinterpret_cast<sockaddr *>(&a), sizeof a) < 0) return std::perror("bind"), 1;
    listen(s, 64);
    std::signal(SIGINT, [](int) { std::_Exit(0); });
    for (;;) {
        sockaddr_in who{};
        socklen_t len = sizeof who;
        int c = accept(s, reinterpret_cast<sockaddr *>(&who), &len);
        if (c < 0) { std::perror("accept"); continue; }
        std::printf("client %s:%d is connected...\n", inet_ntoa(who.sin_addr), ntohs(who.sin_port));
        std::fflush(stdout);
        try {
            std::thread(serve, c, who).join();
        } catch (const std::system_error &e) {
            std::fprintf(stderr, "thread: %s\n", e.what());
            close(c);
        }
    }
}
