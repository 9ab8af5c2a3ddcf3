# as: select_server
# fails: one_process
# says: with three clients the server has 4 threads
import socket
import sys
from threading import Thread


def serve(client):
    with client:
        while data := client.recv(1024):
            client.sendall(data)


with socket.create_server(("", int(sys.argv[1]))) as server:
    while True:
        Thread(target=serve, args=server.accept()[:1], daemon=True).start()
