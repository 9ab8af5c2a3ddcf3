# as: address_conversion
# fails: address_as_number
# says: is not in what it printed
import socket
import struct
import sys

try:
    packed = socket.inet_aton(sys.argv[1])
except OSError:
    sys.exit("not an address")
print("inet_addr:", hex(struct.unpack("!I", packed)[0]))
print("network order:", "0x%08X" % struct.unpack("!I", packed))
print("bytes:", packed.hex(" "))
print("back:", socket.inet_ntoa(packed))
