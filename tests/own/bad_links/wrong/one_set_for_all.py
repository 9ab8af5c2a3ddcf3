# as: numbered_server
# fails: tells_clients_apart
# says: a second client on the same host has sent one of four: expected [1, 4, 3]
import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", int(sys.argv[1])))

seen = {}
while True:
    message, client = server.recvfrom(1000)
    numbers = seen.setdefault(client[0], set())
    if message.startswith(b"end "):
        of = int(message[4:])
        came = len([number for number in numbers if number <= of])
        server.sendto(b"%d of %d came, %d lost" % (came, of, of - came), client)
        if of != 4:
            numbers.clear()
    else:
        numbers.add(int(message))
