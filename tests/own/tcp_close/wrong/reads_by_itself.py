# as: closing_client
# fails: reads_when_told
# says: nobody has typed recv
import socket
import sys
import threading

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("connected to", sys.argv[1])
arrived = []
there = threading.Condition()


def receive():
    while True:
        data = sock.recv(1024)
        with there:
            arrived.append(data)
            there.notify()
        if not data:
            return


threading.Thread(target=receive, daemon=True).start()
for line in sys.stdin:
    call, _, text = line.rstrip("\n").partition(" ")
    if call == "send":
        print("send =", sock.send(text.encode()))
    elif call == "recv":
        with there:
            there.wait_for(lambda: arrived)
            data = arrived.pop(0)
        print("recv =", len(data), data.decode())
    elif call == "close":
        break
sock.close()
print("close = 0")
