# as: file_client
import socket
import sys

s = socket.socket()
s.connect((sys.argv[1], int(sys.argv[2])))
data = b""
while True:
    piece = s.recv(4096)
    if not piece:
        break
    data += piece
with open("copy.dat", "wb") as f:
    f.write(data)
print(len(data), "bytes received")
s.send("thanks a lot!".encode())
s.close()
