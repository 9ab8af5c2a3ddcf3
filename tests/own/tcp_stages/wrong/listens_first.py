# as: staged_server
# fails: greets
# says: waits for the greeting
import socket
import sys

with socket.create_server(("", int(sys.argv[-1]))) as listener:
    while True:
        print("accept ...")
        client, address = listener.accept()
        print("recv ...")
        message = client.recv(1024)
        print(address, "says", message)
        client.sendall(b"Hello, I am server.")
        client.close()
