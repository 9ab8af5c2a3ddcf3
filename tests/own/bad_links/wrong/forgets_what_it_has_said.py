# as: numbered_server
# fails: asked_again
# says: and asked again [0, 3, 3, 0, 0]
import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", int(sys.argv[1])))

seen = {}
while True:
    message, client = server.recvfrom(1000)
    numbers = seen.setdefault(client, set())
    if message.startswith(b"end "):
        of, came = int(message[4:]), len(numbers)
        server.sendto(b"%d of %d came, %d lost, 0 late, 0 twice" % (came, of, of - came), client)
        del seen[client]
    else:
        numbers.add(int(message))
