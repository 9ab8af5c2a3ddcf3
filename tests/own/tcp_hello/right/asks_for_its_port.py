# as: hello_server
# note: what it asks for when it starts was typed
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket

port = int(input("port number : "))
with socket(AF_INET, SOCK_STREAM) as server:
    server.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    server.bind(("", port))
    server.listen()
    client, address = server.accept()
    with client:
        print("Connected by", address)
        client.sendall(b"Hello World~\n")
