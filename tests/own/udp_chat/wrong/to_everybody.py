# as: chat_server
# fails: not_to_oneself
# says: hears itself
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", int(sys.argv[1])))
people = set()
while True:
    data, addr = s.recvfrom(1024)
    if addr not in people:
        people.add(addr)
        print("new:", addr, len(people))
    text = "[%s] " % addr[0] + data.decode()
    for other in people:
        if True:
            s.sendto(text.encode(), other)
