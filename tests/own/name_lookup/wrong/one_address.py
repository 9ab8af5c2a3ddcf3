# as: host_by_name
# fails: addresses
# says: is not in what it printed
import socket
import sys

try:
    name, aliases, addresses = sys.argv[1], [], [socket.gethostbyname(sys.argv[1])]
except socket.gaierror as error:
    sys.exit(f"찾을 수 없음: {error}")
print("이름:", name)
print("별칭:", ", ".join(aliases))
print("주소:", ", ".join(addresses))
