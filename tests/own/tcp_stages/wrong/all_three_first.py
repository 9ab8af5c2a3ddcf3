# as: staged_server
# fails: greets
# says: waits for the greeting
import socket
import sys

with socket.create_server(("", int(sys.argv[-1]))) as listener:
    print("waiting for three clients")
    clients = [listener.accept() for _ in range(3)]
    for client, address in clients:
        print("serving", address)
        client.sendall(b"Hello, I am server.")
        message = b""
        while piece := client.recv(100):
            message += piece
        print(message.decode())
        client.close()
