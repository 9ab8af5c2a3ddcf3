# as: closing_server
import os
import select
import socket
import struct
import sys

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("", int(sys.argv[1])))
listener.listen(1)
peer, address = listener.accept()
listener.close()
print("connected to", address)
if "--abort" in sys.argv:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
text = b""
typing = True
while typing:
    select.select([0], [], [], 5)
    piece = os.read(0, 100)
    typing = bool(piece)
    *lines, text = (text + piece).split(b"\n")
    for line in lines:
        words = line.decode().split(maxsplit=1)
        if words == ["close"]:
            typing = False
        elif words == ["recv"]:
            data = peer.recv(1024)
            print("recv =", len(data), data)
        elif len(words) == 2 and words[0] == "send":
            print("send =", peer.send(words[1].encode()))
        else:
            print("no such call", file=sys.stderr)
peer.close()
print("close = 0")
