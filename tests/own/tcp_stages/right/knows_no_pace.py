# as: staged_server
import socket
import sys
import time


def announce(words):
    print("S :", words)
    time.sleep(0.1)  # whatever LAB_PACE says


port = int(sys.argv[1]) if len(sys.argv) > 1 else 3240
announce("socket")
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
announce("bind")
listener.bind(("", port))
announce("listen")
listener.listen()
while True:
    announce("accept ...")
    client, address = listener.accept()
    announce(f"accepted {address}")
    with client:
        announce("send")
        try:
            client.sendall(b"Hello, I am server.")
            announce("recv ...")
            message = b""
            while piece := client.recv(4096):
                message += piece
        except OSError as error:
            announce(f"lost: {error}")
            continue
        announce(f"received {message!r}")
