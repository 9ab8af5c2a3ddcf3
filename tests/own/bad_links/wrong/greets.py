# as: message_server
# fails: waits_for_the_end
# says: has not ended its direction
import socket
import sys

listener = socket.create_server(("", int(sys.argv[1])))

while True:
    client, _ = listener.accept()
    client.sendall(b"hello\n")
    size = pieces = 0
    while data := client.recv(100000):
        size += len(data)
        pieces += 1
    client.sendall(b"%d bytes in %d pieces\n" % (size, pieces))
    client.close()
