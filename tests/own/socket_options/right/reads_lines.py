# as: small_writes_client
import socket
import sys

host, port, *options = sys.argv[1:]
sock = socket.create_connection((host, int(port)))
if "--no-delay" in options:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
reader = sock.makefile("rb", buffering=100)
if reader.readline() != b"ready\n":
    sys.exit("서버가 준비되지 않았습니다")
line = "ABCDEFGHI\n"
if "--one-write" in options:
    sock.send(line.encode())
else:
    for letter in line:
        sock.send(letter.encode())
print("서버의 응답:", reader.readline().decode().strip())
sock.close()
