# as: iterative_server
# fails: every_byte
# says: UnicodeDecodeError
import socket
import sys

s = socket.create_server(("", int(sys.argv[1])))
while True:
    c, a = s.accept()
    while data := c.recv(1024):
        text = data.decode()
        print("client says", text)
        c.sendall(text.encode())
    c.close()
