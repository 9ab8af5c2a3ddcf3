# as: host_by_name
# fails: unknown
# says: and it printed 0.0.0.0
import socket
import sys

try:
    name, aliases, addresses = socket.gethostbyname_ex(sys.argv[1])
except socket.gaierror as error:
    name, aliases, addresses = sys.argv[1], [], ["0.0.0.0"]
print("이름:", name)
print("별칭:", ", ".join(aliases))
print("주소:", ", ".join(addresses))
