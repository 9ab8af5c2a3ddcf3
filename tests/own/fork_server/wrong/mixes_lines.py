# as: recording_server
# fails: whole_lines
# says: in the midst of the other
import os
import signal
import socket
import sys

listener = socket.create_server(("", int(sys.argv[1])))
readable, writable = os.pipe()
if os.fork() == 0:
    os.close(writable)
    listener.close()
    with open("echomsg.txt", "wb", buffering=0) as file:
        while piece := os.read(readable, 4096):
            file.write(piece)
    os._exit(0)
os.close(readable)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    client, address = listener.accept()
    if os.fork() == 0:
        listener.close()
        while message := client.recv(1024):
            for at in range(0, len(message), 16):
                os.write(writable, message[at : at + 16])
            if not message.endswith(b"\n"):
                os.write(writable, b"\n")
            client.sendall(message)
        os._exit(0)
    client.close()
