# as: line_client
import socket
import sys

s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    try:
        line = input("> ")
    except EOFError:
        break
    if line == "END":
        break
    if not line:
        continue
    data = line.encode()
    s.sendall(data)
    got = b""
    while len(got) < len(data):
        piece = s.recv(1024)
        if not piece:
            raise SystemExit("server gone")
        got += piece
    print("echo:", got.decode())
s.close()
