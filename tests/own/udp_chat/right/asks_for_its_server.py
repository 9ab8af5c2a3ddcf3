# as: udp_echo_client
# note: what it asks for when it starts was typed
import socket

server = input("Server address: ").strip()
port = int(input("Server port: "))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        line = input("보낼 메시지: ")
    except EOFError:
        break
    if line.lower() == "q":
        break
    sock.sendto(line.encode(), (server, port))
    data, _ = sock.recvfrom(65535)
    print("받은 메시지:", data.decode(errors="replace"))
sock.close()
