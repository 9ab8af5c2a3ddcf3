# as: thread_server
# fails: the_lock
# says: sent at the same time, were printed with the numbers
import socket
import sys
import threading
import time

count = 0

def handle(conn: socket.socket, addr) -> None:
    global count
    with conn:
        while True:
            try:
                data = conn.recv(1024)
            except ConnectionResetError:
                break
            if not data:
                break
            number = count + 1
            time.sleep(0.01)  # something that takes its time
            count = number
            print(f"메시지 {number} [{addr[1]}]: {data!r}", flush=True)
            conn.sendall(data)

def main() -> None:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", int(sys.argv[1])))
        s.listen()
        while True:
            conn, addr = s.accept()
            threading.Thread(target=handle, args=(conn, addr), daemon=True).start()

main()
