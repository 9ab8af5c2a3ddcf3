# as: line_client
# note: what it asks for when it starts was typed
import socket

host = input("서버 IP 주소: ")
port = int(input("포트 번호: "))
connection = socket.socket()
connection.connect((host, port))
while True:
    message = input("> ")
    if message == "END":
        break
    if not message:
        continue
    connection.sendall(message.encode())
    left = len(message.encode())
    while left > 0:
        data = connection.recv(1024)
        if not data:
            break
        left -= len(data)
        print(data.decode(), end="", flush=True)
    print()
connection.close()
