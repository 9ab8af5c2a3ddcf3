# as: iterative_server
# fails: closes
# says: does not close its own
import socket
import sys

s = socket.create_server(("", int(sys.argv[1])))
clients = []
while True:
    c, _ = s.accept()
    clients.append(c)
    try:
        while data := c.recv(4096):
            c.sendall(data)
    except OSError:
        pass
