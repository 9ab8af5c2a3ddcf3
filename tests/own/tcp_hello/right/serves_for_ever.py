# as: hello_server
import socket
import sys

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))
s.listen(1)
print("waiting ...")
while True:
    c, addr = s.accept()
    print("client", addr)
    c.send("Hello World~\n".encode())
    c.close()
