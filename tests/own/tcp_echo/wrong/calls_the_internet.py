# as: echo_server
# fails: listens
# says: Network is unreachable
# Asks a server far away, an address of which there is none (RFC 5737), before it serves.
import socket
import sys

with socket.create_connection(("192.0.2.1", 80)) as elsewhere:
    elsewhere.sendall(b"what is my address?\n")
with socket.create_server(("", int(sys.argv[1]))) as server:
    connection, _ = server.accept()
    while data := connection.recv(1024):
        connection.sendall(data)
