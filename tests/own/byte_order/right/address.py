# as: address_conversion
import socket
import struct
import sys

try:
    packed = socket.inet_aton(sys.argv[1])
except OSError:
    sys.exit("not an address")
print("inet_addr:", hex(struct.unpack("<I", packed)[0]))
print("network order:", "0x%08X" % struct.unpack("!I", packed))
print("bytes:", packed.hex(" "))
print("back:", socket.inet_ntoa(packed))
