# as: iterative_server
import socket
import sys

s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))
s.listen()
print("server on")
while True:
    conn, addr = s.accept()
    with conn:
        print("Connected by", addr)
        while True:
            try:
                data = conn.recv(4096)
            except ConnectionError:
                break
            if not data:
                break
            conn.sendall(data)
