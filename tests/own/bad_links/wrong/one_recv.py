# as: message_server
# fails: whole_message
# says: a message of 13 bytes in 3 pieces
import socket
import sys

listener = socket.create_server(("", int(sys.argv[1])))

while True:
    client, _ = listener.accept()
    message = client.recv(100000)
    client.sendall(b"%d bytes in 1 piece\n" % len(message))
    while client.recv(100000):
        pass
    client.close()
