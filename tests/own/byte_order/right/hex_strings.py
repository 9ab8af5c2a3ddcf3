# as: byte_order
import socket
import struct
import sys

short, number = ([int(word, 0) for word in sys.argv[1:]] + [0x1234, 0x12345678][len(sys.argv) - 1 :])[:2]
print(sys.byteorder)
print("memory:", struct.pack("=I", number).hex())
print("wire:  ", struct.pack("!I", number).hex())
for value, turn in (short, socket.htons), (number, socket.htonl):
    print(turn.__name__, hex(value), "->", hex(turn(value)))
