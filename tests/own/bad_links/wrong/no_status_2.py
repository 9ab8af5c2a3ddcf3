# as: message_client
# fails: arguments
# says: with the arguments ['what']
import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: message_client HOST PORT [LENGTH]")
server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
server.sendall(b"y" * int(sys.argv[3]))
server.shutdown(socket.SHUT_WR)
print(server.makefile().read())
