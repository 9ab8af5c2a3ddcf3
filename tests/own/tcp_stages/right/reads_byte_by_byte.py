# as: staged_client
import argparse
import os
import socket
from time import sleep

parser = argparse.ArgumentParser()
parser.add_argument("name")
parser.add_argument("--host", default="server")
parser.add_argument("--port", type=int, default=3240)
options = parser.parse_args()
pace = float(os.environ.get("LAB_PACE", 1))


def tell(words):
    print(f"C_{options.name} : {words}", flush=True)
    sleep(pace)


tell("connecting")
sock = socket.create_connection((options.host, options.port))
tell("connected: %s port %d -> %s port %d" % (*sock.getsockname(), *sock.getpeername()))
said = b""
while not said.endswith(b"."):
    byte = sock.recv(1)
    if not byte:
        break
    said += byte
tell("server says " + said.decode())
sleep(3 * pace)
sock.send(f"Hello, I am client {options.name}".encode())
sock.shutdown(socket.SHUT_WR)
sock.close()
tell("closed")
