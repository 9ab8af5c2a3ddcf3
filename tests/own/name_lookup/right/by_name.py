# as: host_by_name
import socket
import sys

try:
    name, aliases, addresses = socket.gethostbyname_ex(sys.argv[1])
except socket.gaierror as error:
    sys.exit(f"찾을 수 없음: {error}")
print("이름:", name)
print("별칭:", ", ".join(aliases))
print("주소:", ", ".join(addresses))
