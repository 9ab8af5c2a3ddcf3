# as: select_server
# fails: slow_reader
# says:  on
import selectors
import socket
import sys
import types

sel = selectors.DefaultSelector()


def accept(sock):
    conn, addr = sock.accept()
    conn.setblocking(False)
    sel.register(conn, selectors.EVENT_READ | selectors.EVENT_WRITE, types.SimpleNamespace(addr=addr, outb=b""))


def service(key, mask):
    sock, data = key.fileobj, key.data
    if mask & selectors.EVENT_READ and len(data.outb) < 1 << 16:
        received = sock.recv(1 << 20)
        if received:
            data.outb += received
        else:
            print("closing", data.addr)
            sel.unregister(sock)
            sock.close()
            return
    if mask & selectors.EVENT_WRITE and data.outb:
        sock.send(data.outb)
        data.outb = b""
    events = selectors.EVENT_WRITE if data.outb else selectors.EVENT_READ
    sel.modify(sock, events, data)


lsock = socket.socket()
lsock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
lsock.bind(("0.0.0.0", int(sys.argv[1])))
lsock.listen()
lsock.setblocking(False)
sel.register(lsock, selectors.EVENT_READ, None)
while True:
    for key, mask in sel.select(timeout=None):
        if key.data is None:
            accept(key.fileobj)
        else:
            service(key, mask)
