# as: line_client
# fails: connects_inside
# says: did not connect
import socket
import sys

HOST = "127.0.0.1"
PORT = int(sys.argv[2])
sock = socket.socket()
sock.connect((HOST, PORT))
for line in sys.stdin:
    line = line.rstrip("\n")
    if line == "END":
        break
    data = line.encode()
    sock.sendall(data)
    answer = b""
    while len(answer) < len(data):
        piece = sock.recv(1024)
        if not piece:
            sys.exit("server closed")
        answer += piece
    print("Message from server : " + answer.decode())
sock.close()
