# as: numbered_server
# fails: nonsense
# says: no program of this check runs any more
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
        server.sendto(b"%d of %d came, %d lost" % (came, of, of - came), client)
    else:
        numbers.add(int(message))
