# as: open_flags
# fails: any_bytes
# says: UnicodeDecodeError
import os
import sys

name, *names = sys.argv[1:]
flags = 0
for flag in names:
    flags |= getattr(os, flag)
print(f"flags {flags:05o}")
fd = os.open(name, flags, 0o644)
print("open", fd)
try:
    print("read", os.read(fd, 4).decode())
except OSError as error:
    print("read:", error.strerror, file=sys.stderr)
try:
    os.write(fd, b"ABC")
except OSError as error:
    print("write:", error.strerror, file=sys.stderr)
