# as: sockaddr
import socket
import struct
import sys

address, port = sys.argv[1], int(sys.argv[2])
raw = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)
print(raw.hex())
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect((address, port))
    peer = s.getpeername()
print("port", peer[1], "at", peer[0])
