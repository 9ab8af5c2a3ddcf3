# as: closing_server
# fails: sees_the_end
# says: the other side has closed, and recv was typed
import socket
import sys

listener = socket.create_server(("", int(sys.argv[1])))
peer, address = listener.accept()
listener.close()
print("connected to", *address)
while True:
    call, _, text = input("> ").partition(" ")
    if call == "send":
        print("send =", peer.send(text.encode()))
    elif call == "recv":
        data = b""
        while not data:
            data = peer.recv(1024)
        print("recv =", len(data), data.decode())
    elif call == "close":
        peer.close()
        print("close = 0")
        break
