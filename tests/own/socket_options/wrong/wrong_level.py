# as: get_set_options
# fails: switched_on
# says: it does not set TCP_NODELAY
import socket
import sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if "--udp" in sys.argv else socket.SOCK_STREAM)
for name, level, opt in [
    ("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    ("SO_REUSEADDR", socket.SOL_SOCKET, socket.SO_REUSEADDR),
    ("TCP_NODELAY", socket.SOL_SOCKET, socket.TCP_NODELAY),
]:
    print(f"{name} : {s.getsockopt(level, opt)} as found")
    s.setsockopt(level, opt, True)
    print(f"{name} : 1 set")
    print(f"{name} : {s.getsockopt(level, opt)} read back")
