# as: recording_server
import multiprocessing as mp
import socket
import sys


def recorder(queue):
    with open("echomsg.txt", "a", encoding="utf-8", errors="surrogateescape") as file:
        while True:
            print(queue.get().decode("utf-8", "surrogateescape").rstrip("\n"), file=file, flush=True)


def client(sock, queue):
    while message := sock.recv(512):
        queue.put(message)
        sock.sendall(message)


if __name__ == "__main__":
    messages = mp.SimpleQueue()
    mp.Process(target=recorder, args=(messages,), daemon=True).start()
    listener = socket.create_server(("", int(sys.argv[1])))
    listener.settimeout(0.5)
    while True:
        mp.active_children()  # waits for those that have ended
        try:
            sock, address = listener.accept()
        except TimeoutError:
            continue
        print("new client", address, flush=True)
        mp.Process(target=client, args=(sock, messages), daemon=True).start()
        sock.close()
