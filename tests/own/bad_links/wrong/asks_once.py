# as: numbered_client
# fails: repeats
# says: nobody has answered, and 'end 1' should be next
import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.connect((sys.argv[1], int(sys.argv[2])))
count = int(sys.argv[3])
for number in range(1, count + 1):
    server.send(b"%d" % number)
server.send(b"end %d" % count)
print(server.recv(1000).decode())
