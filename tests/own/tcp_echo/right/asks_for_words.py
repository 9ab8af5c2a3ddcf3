# as: echo_client
import socket
import sys

host, port = sys.argv[1:]
sock = socket.socket()
sock.connect((host, int(port)))
reader = sock.makefile("rb")
while True:
    words = input("보낼 메시지: ")
    if words in ("q", "Q"):
        break
    sock.sendall((words + "\n").encode())
    print("서버:", reader.readline().decode().rstrip())
sock.close()
