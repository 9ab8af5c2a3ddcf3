# as: fork_server
# fails: no_zombie
# says: Z is a zombie
import os
import sys
from socket import *

s = socket(AF_INET, SOCK_STREAM)
s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))
s.listen(10)
print("서버 시작")

while True:
    conn, addr = s.accept()
    print("접속:", addr)
    pid = os.fork()
    if pid == 0:
        s.close()
        while True:
            data = conn.recv(1024)
            if not data:
                break
            conn.sendall(data)
        conn.close()
        os._exit(0)
    conn.close()
