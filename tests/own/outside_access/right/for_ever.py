# as: iterative_server
import socket
import sys

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", int(sys.argv[1])))
listener.listen(2)
while True:
    client, (address, port) = listener.accept()
    print(f"{port} of {address} is there")
    while data := client.recv(500):
        print(data)
        client.sendall(data)
    client.close()
    print("and has gone")
