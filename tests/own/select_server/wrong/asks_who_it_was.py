# as: select_server
# fails: gone_before
# says: Transport endpoint is not connected
import select
import socket
import sys

HOST = ""
PORT = int(sys.argv[1])

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((HOST, PORT))
server.listen(5)
inputs = [server]
print("[+] waiting on", PORT)

while inputs:
    readable, _, failed = select.select(inputs, [], inputs, 1)
    for s in readable:
        if s is server:
            conn, _ = s.accept()
            inputs.append(conn)
            print("[+]", conn.getpeername())
        else:
            try:
                data = s.recv(1024)
                if data:
                    s.sendall(data)
                    continue
            except OSError as error:
                print(error)
            inputs.remove(s)
            s.close()
