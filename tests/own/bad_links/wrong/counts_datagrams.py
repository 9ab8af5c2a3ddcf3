# as: numbered_server
# fails: overtaken_and_twice
# says: the datagrams 1 2 2 3, then `end 4`: expected [3, 4, 1, 0, 1], got [4, 4, 0, 0, 0]
import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", int(sys.argv[1])))

came = {}
late = {}
highest = {}
while True:
    message, client = server.recvfrom(1000)
    if message.startswith(b"end "):
        of, n = int(message[4:]), came.get(client, 0)
        server.sendto(b"%d of %d came, %d lost, %d late, 0 twice" % (n, of, of - n, late.get(client, 0)), client)
    else:
        came[client] = came.get(client, 0) + 1
        if int(message) < highest.get(client, 0):
            late[client] = late.get(client, 0) + 1
        highest[client] = max(int(message), highest.get(client, 0))
