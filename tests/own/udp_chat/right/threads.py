# as: chat_client
import socket
import sys
import threading

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server = (sys.argv[1], int(sys.argv[2]))
s.bind(("", 0))


def listen():
    while True:
        print("\r" + s.recv(2048).decode())


threading.Thread(target=listen, daemon=True).start()
while True:
    line = input("> ")
    s.sendto(line.encode(), server)
    if line == "END":
        break
