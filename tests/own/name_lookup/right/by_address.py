# as: name_by_address
import socket
import sys

try:
    print(socket.gethostbyaddr(sys.argv[1])[0])
except OSError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
