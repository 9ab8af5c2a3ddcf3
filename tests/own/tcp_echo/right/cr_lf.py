#!/usr/bin/env python3
# as: iterative_server
import socket, sys
s = socket.create_server(("", int(sys.argv[1])))
while True:
    c, a = s.accept()
    with c:
        try:
            while d := c.recv(1024):
                c.sendall(d)
        except OSError:
            pass
