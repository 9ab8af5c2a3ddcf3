# as: send_number
# fails: sends_four_bytes
# says: format requires
import socket
import struct
import sys

host, port, *rest = sys.argv[1:]
number = int(rest[0], 0) if rest else 0x12345678
wire = struct.pack(">i", number)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(wire, (host, int(port)))
print(hex(number), "sent as", wire.hex(" "))
