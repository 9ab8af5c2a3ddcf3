#ifndef LOOP_H
#define LOOP_H
typedef void (*callback)(int fd, unsigned events, void *arg);
/* a small event loop like libevent's */
int loop_init(void);
void loop_add(int fd, unsigned events, callback cb, void *arg);
void loop_change(int fd, unsigned events);
void loop_remove(int fd);
void loop_run(void);
#endif
