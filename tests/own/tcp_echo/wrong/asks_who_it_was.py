# as: iterative_server
# fails: gone_before
# says: a client was gone before it was accepted
import socket
import sys

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))
s.listen()
print("server on")
while True:
    conn, _ = s.accept()
    with conn:
        print("Connected by", conn.getpeername())
        while True:
            try:
                data = conn.recv(4096)
            except ConnectionError:
                break
            if not data:
                break
            conn.sendall(data)
