# as: thread_server
# fails: one_too_many
# says: Too many open files
import socket
import sys
import threading

count = 0
lock = threading.Lock()


def handle(conn, addr):
    global count
    print(f"{addr} 연결됨")
    with conn:
        while True:
            data = conn.recv(1024)
            if not data:
                break
            with lock:
                count += 1
                print(f"#{count} {addr[1]}: {data.decode(errors='replace')}")
            conn.sendall(data)
    print(f"{addr} 종료")


server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", int(sys.argv[1]) if len(sys.argv) > 1 else 9090))
server.listen()
while True:
    threading.Thread(target=handle, args=server.accept(), daemon=True).start()
