# as: numbered_server
# fails: counts
# says: expected [4, 8, 4], got [4, 8, 3]
import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", int(sys.argv[1])))

seen = {}
while True:
    message, client = server.recvfrom(1000)
    numbers = seen.setdefault(client, [])
    if message.startswith(b"end "):
        lost = max(numbers) - len(numbers)
        server.sendto(b"%d of %d came, %d lost" % (len(numbers), int(message[4:]), lost), client)
    else:
        numbers.append(int(message))
