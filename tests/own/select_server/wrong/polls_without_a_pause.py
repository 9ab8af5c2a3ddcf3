# as: select_server
# fails: waits
# says: x
import select
import socket
import sys

server = socket.create_server(("", int(sys.argv[1])))
clients = []
while True:
    ready, _, _ = select.select([server, *clients], [], [], 0)
    for sock in ready:
        if sock is server:
            clients.append(server.accept()[0])
        elif data := sock.recv(1024):
            sock.sendall(data)
        else:
            clients.remove(sock)
            sock.close()
