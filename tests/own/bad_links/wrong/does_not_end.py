# as: message_client
# fails: sends_all
# says: the client should send 500000 bytes, and end its direction
import socket
import sys

server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
server.sendall(b"y" * int(sys.argv[3]))
print(server.recv(1000).decode())
