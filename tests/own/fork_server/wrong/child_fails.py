# as: fork_server
# fails: half_a_message
# says: child failed
import os
import signal
import sys
from socket import *


def reap(signum, frame):
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if status != 0:
                sys.exit("child failed")
    except ChildProcessError:
        pass


def serve(conn):
    data = conn.recv(1024)
    if not data:
        sys.exit("no message")
    while data:
        conn.sendall(data)
        data = conn.recv(1024)
    sys.exit(0)


s = socket(AF_INET, SOCK_STREAM)
s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))
s.listen(10)
signal.signal(signal.SIGCHLD, reap)
print("서버 시작")

while True:
    conn, addr = s.accept()
    print("접속:", addr)
    if os.fork() == 0:
        s.close()
        serve(conn)
    conn.close()
