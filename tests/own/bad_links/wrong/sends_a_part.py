# as: message_client
# fails: sends_all
# says: told to send 500000 bytes, it sent
import socket, sys, time, struct
length = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
t = time.monotonic()
s.setblocking(False); s.send(b"x" * length); s.setblocking(True)
s.shutdown(socket.SHUT_WR)
answer = s.makefile().read()
print("Message from server :", answer.strip())
print(f"answered after {(time.monotonic() - t) * 1000:.1f} ms")
print("sent again :", struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 100)[0])
