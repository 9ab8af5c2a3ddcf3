# as: message_client
import socket
import sys

server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
left = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
while left:
    left -= server.send(b"y" * min(left, 1000))
server.shutdown(socket.SHUT_WR)
print(server.makefile().read())
