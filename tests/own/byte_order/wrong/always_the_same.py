# as: send_number
# fails: sends_four_bytes
# says: of 2309737967, 12 34 56 78 came
import socket
import struct
import sys

number = 0x12345678
data = struct.pack("!L", number)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.sendto(data, (sys.argv[1], int(sys.argv[2])))
print(number, "->", data)
