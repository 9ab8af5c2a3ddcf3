#include "loop.h"
#include <stdlib.h>
#include <sys/epoll.h>

struct entry { callback cb; void *arg; };
static struct entry entries[4096];
static int ep;

int loop_init(void) { return ep = epoll_create1(EPOLL_CLOEXEC); }
static void ctl(int op, int fd, unsigned events) {
    struct epoll_event e = {.events = events, .data = {.fd = fd}};
    epoll_ctl(ep, op, fd, &e);
}
void loop_add(int fd, unsigned events, callback cb, void *arg) {
    entries[fd] = (struct entry){cb, arg};
    ctl(EPOLL_CTL_ADD, fd, events);
}
void loop_change(int fd, unsigned events) { ctl(EPOLL_CTL_MOD, fd, events); }
void loop_remove(int fd) { entries[fd].cb = NULL; ctl(EPOLL_CTL_DEL, fd, 0); }
void loop_run(void) {
    struct epoll_event got[16];
    for (;;) {
        int n = epoll_wait(ep, got, 16, 5000);
        for (int i = 0; i < n; i++)
            if (entries[got[i].data.fd].cb) entries[got[i].data.fd].cb(got[i].data.fd, got[i].events, entries[got[i].data.fd].arg);
    }
}
