# as: open_flags
# fails: flags_are_bits
# says: 03102 (
import os
import sys

name, *names = sys.argv[1:]
flags = 0
for flag in names:
    flags |= getattr(os, flag)
print("flags", flags)
fd = os.open(name, flags, 0o644)
print("fd =", fd)
try:
    print("읽음:", os.read(fd, 4))
except OSError as error:
    print("read 실패", error)
try:
    os.write(fd, b"ABC")
except OSError as error:
    print("write 실패", error)
os.close(fd)
