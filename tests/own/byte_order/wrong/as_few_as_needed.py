# as: send_number
# fails: always_four
# says: of 0, nothing came on the wire, not 00 00 00 00
import socket
import sys

number = int(sys.argv[3], 0) if len(sys.argv) > 3 else 0x12345678
data = number.to_bytes((number.bit_length() + 7) // 8, "big")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.sendto(data, (sys.argv[1], int(sys.argv[2])))
print(number, "->", data)
