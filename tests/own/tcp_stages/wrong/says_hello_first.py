# as: staged_client
# fails: waits_to_be_greeted
# says: the server has not greeted the client yet
import socket
import sys

name, _, host, _, port = sys.argv[1:]
sock = socket.create_connection((host, int(port)))
print("connected", *sock.getsockname(), *sock.getpeername())
sock.sendall(f"Hello, I am client {name}".encode())
print(sock.recv(19, socket.MSG_WAITALL).decode())
sock.close()
