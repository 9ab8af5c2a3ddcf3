# as: thread_server
# fails: a_thread_for_each
# says: with three clients the server has 4 processes
import multiprocessing
import socket
import sys


def serve(client):
    for number, line in enumerate(iter(lambda: client.recv(1024), b""), start=1):
        print(number, line, flush=True)
        client.sendall(line)


with socket.create_server(("", int(sys.argv[1]))) as server:
    while True:
        multiprocessing.active_children()
        client, _ = server.accept()
        multiprocessing.Process(target=serve, args=(client,), daemon=True).start()
        client.close()
