# as: load_client
# fails: all_at_once
# says: the load has 9 processes
import os
import socket
import sys
import time

host, port, *rest = sys.argv[1:]
given = dict(zip(rest[::2], rest[1::2]))
clients, seconds = int(given.get("--clients", 1)), float(given.get("--seconds", 1))
for number in range(clients):
    if os.fork() == 0:
        sock = socket.create_connection((host, int(port)))
        end = time.time() + seconds
        while time.time() < end:
            line = f"{os.getpid()}\n".encode()
            sock.sendall(line)
            sock.recv(len(line), socket.MSG_WAITALL)
        os._exit(0)
    time.sleep(0.002)
while True:
    os.wait()
