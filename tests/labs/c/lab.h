/* lab.h: what the C twins share, so that each of them shows what its own lab is about. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_DATAGRAM 65507 /* bytes: 65535 less the headers of IP (20) and UDP (8) */

/* Say which system call failed and why, and end with status 1. */
static inline void fail(const char *call)
{
    perror(call);
    exit(1);
}

/* Say how the program is called; the status for arguments that are wrong. */
static inline int usage(const char *how)
{
    fprintf(stderr, "usage: %s\n", how);
    return 2;
}

/* See that there is a stdin: were it closed, a socket would get its number, and what is typed be read from there. */
static inline void need_stdin(void)
{
    if (fcntl(0, F_GETFD) == -1)
        fail("read");
}

/* The number from 1 to `most` that a text of digits names, or 0. */
static inline long to_number(const char *text, long most)
{
    long number = strtol(text, NULL, 10);
    return text[strspn(text, "0123456789")] == '\0' && number <= most ? number : 0;
}

/* The port that a text names, or 0. */
static inline int to_port(const char *text)
{
    return (int)to_number(text, 65535);
}

/* Whether a text may name a host: of digits and dots, it is meant as an IPv4 address, so it must be one. */
static inline bool is_host(const char *text)
{
    struct in_addr address;
    return strspn(text, "0123456789.") < strlen(text) || inet_pton(AF_INET, text, &address) == 1;
}

/* The handler of SIGINT in a server: Ctrl+C is how it is meant to end. */
static inline void quit(int number)
{
    (void)number;
    _exit(0);
}

/* The handler of SIGCHLD: wait for every child that has ended; signals don't queue, so one may stand for many. */
static inline void reap(int number)
{
    int before = errno;
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = before;
}

/* Sleep for so many seconds, times LAB_PACE. */
static inline void wait_seconds(double seconds)
{
    const char *pace = getenv("LAB_PACE");
    seconds *= pace != NULL ? atof(pace) : 1;
    struct timespec pause = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

/* The first IPv4 address of a host, with a port. */
static inline struct sockaddr_in address_of(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET}, *found;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        exit(1);
    }
    struct sockaddr_in address = *(struct sockaddr_in *)found->ai_addr;
    freeaddrinfo(found);
    return address;
}

/* A TCP connection to a server. */
static inline int connect_to(const char *host, const char *port)
{
    struct sockaddr_in address = address_of(host, port);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server == -1)
        fail("socket");
    if (connect(server, (struct sockaddr *)&address, sizeof address) == -1)
        fail("connect");
    return server;
}

/* Give a socket its port, on all interfaces. */
static inline void bind_to(int descriptor, int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) == -1)
        fail("bind");
}

/* A listening TCP socket. */
static inline int listen_on(int port, int backlog)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == -1)
        fail("socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == -1)
        fail("setsockopt");
    bind_to(listener, port);
    if (listen(listener, backlog) == -1)
        fail("listen");
    return listener;
}

/* The connection of the next client, and the client's address. */
static inline int accept_from(int listener, struct sockaddr_in *peer)
{
    int client = accept(listener, (struct sockaddr *)peer, &(socklen_t){sizeof *peer});
    if (client == -1)
        fail("accept");
    return client;
}

/* Send a message whole, in however many pieces; false if that fails. */
static inline bool send_all(int peer, const char *message, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(peer, message, length, MSG_NOSIGNAL);
        if (sent == -1)
            return false;
        message += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Receive a piece of an answer that has not come to its end yet. */
static inline size_t receive(int server, char *piece, size_t size)
{
    ssize_t received = recv(server, piece, size, 0);
    if (received == -1)
        fail("recv");
    if (received == 0) {
        fprintf(stderr, "recv: the server has closed the connection\n");
        exit(1);
    }
    return (size_t)received;
}

/* Receive an answer whole, in however many pieces. */
static inline void receive_all(int server, char *answer, size_t length)
{
    for (size_t received = 0; received < length;)
        received += receive(server, answer + received, length - received);
}

/* Ask for input, if somebody sits at a terminal. */
static inline void ask(const char *prompt)
{
    if (isatty(0)) {
        printf("%s", prompt);
        fflush(stdout);
    }
}

/* The size of the line read: with its newline, a piece of one that is longer, or 0 at the end of the input. */
static inline size_t read_line(char *line, size_t size)
{
    size_t length = 0;
    int byte = 0;
    while (length < size && byte != '\n' && (byte = getchar()) != EOF)
        line[length++] = (char)byte;
    return length;
}

/* The length of a message without the newline at its end, if there is one. */
static inline size_t without_newline(const char *message, size_t length)
{
    return length > 0 && message[length - 1] == '\n' ? length - 1 : length;
}

/* Print a message, which may hold any bytes, as the end of a line. */
static inline void print_line(const char *message, size_t length)
{
    fwrite(message, 1, length, stdout);
    printf("\n");
    fflush(stdout);
}

/* tcp_close: with a linger time of 0, close() breaks the connection: it sends RST. */
static inline void linger_0(int peer)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == -1)
        fail("setsockopt");
}

/* tcp_close: receive once, and print what came. */
static inline void receive_and_print(int peer)
{
    char data[1024];
    ssize_t size = recv(peer, data, sizeof data, 0);
    if (size == -1)
        fail("recv");
    if (size == 0)
        printf("recv = 0 (the other side has closed)\n");
    else
        printf("recv = %zd (%.*s)\n", size, (int)size, data);
}

/* tcp_close: make each call that is typed, up to `close` or the end of the input. */
static inline void make_calls(int peer)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) != -1 && strcmp(line, "close\n") != 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "send ", 5) == 0) {
            if (!send_all(peer, line + 5, strlen(line + 5)))
                fail("send");
            printf("send = %zu\n", strlen(line + 5));
        } else if (strcmp(line, "recv") == 0) {
            receive_and_print(peer);
        } else {
            fprintf(stderr, "type send TEXT, recv or close\n");
        }
    }
    free(line);
    close(peer);
    printf("close = 0\n");
}
