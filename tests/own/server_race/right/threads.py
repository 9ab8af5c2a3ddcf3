# as: load_client
import argparse
import json
import socket
import statistics
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("host")
parser.add_argument("port", type=int)
parser.add_argument("--clients", type=int, default=1)
parser.add_argument("--seconds", type=float, default=1)
parser.add_argument("--think", type=float, default=0)
options = parser.parse_args()


class Client(threading.Thread):
    def __init__(self, number):
        super().__init__(daemon=True)
        self.number = number
        self.connected = self.wrong = False
        self.first = threading.Event()
        self.answers, self.waits, self.since = 0, [], time.time()

    def run(self):
        sock = socket.create_connection((options.host, options.port))
        self.connected = True
        try:
            while not self.wrong:
                line = f"{self.number}: {self.answers}\n".encode()
                self.since = time.time()
                sock.sendall(line)
                back = b""
                while len(back) < len(line):
                    piece = sock.recv(len(line) - len(back))
                    if not piece:
                        return
                    back += piece
                    if not line.startswith(back):
                        self.wrong = True
                        return
                self.waits.append(time.time() - self.since)
                self.since = None
                self.answers += 1
                self.first.set()
                time.sleep(options.think)
        except OSError:
            pass


clients = []
for number in range(options.clients):
    client = Client(number)
    clients.append(client)
    client.start()
    client.first.wait(0.002)
before = [len(client.waits) for client in clients]
begin = time.time()
time.sleep(options.seconds)
waits = [wait for client, start in zip(clients, before) for wait in client.waits[start:]]
requests = len(waits)
waits += [time.time() - client.since for client in clients if client.since]
waits = sorted(1000 * wait for wait in waits) or [0]
print(
    json.dumps(
        {
            "clients": len(clients),
            "connected": sum(client.connected for client in clients),
            "answered": sum(client.answers > 0 for client in clients),
            "wrong": sum(client.wrong for client in clients),
            "seconds": time.time() - begin,
            "requests": requests,
            "wait_median": statistics.median(waits),
            "wait_95": waits[int(0.95 * (len(waits) - 1))],
            "wait_99": waits[int(0.99 * (len(waits) - 1))],
            "wait_max": waits[-1],
        }
    )
)
