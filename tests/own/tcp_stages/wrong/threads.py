# as: staged_server
# fails: one_after_another
# says: a client was greeted while the first one was still served
import os
import socket
import sys
import threading
import time

PACE = float(os.environ.get("LAB_PACE", 1))


def say(words):
    print("S : " + words, flush=True)
    time.sleep(PACE)


def serve(client, address):
    say(f"4_Accept End(Connected!) {address[0]} {address[1]}")
    say("5_Send Start")
    client.sendall(b"Hello, I am server.")
    say("6_Recv Start")
    message = b""
    while data := client.recv(1024):
        message += data
    say("Client Says = " + message.decode())
    client.close()


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("", int(sys.argv[2])))
listener.listen(5)
while True:
    say("4_Accept Start")
    threading.Thread(target=serve, args=listener.accept()).start()
