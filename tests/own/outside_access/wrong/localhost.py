# as: select_server
# fails: listens_to_all
# says: 127.0.0.1 alone
import selectors
import socket
import sys

selector = selectors.DefaultSelector()
listener = socket.create_server(("localhost", int(sys.argv[1])))
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            client, address = listener.accept()
            print("new client", address)
            selector.register(client, selectors.EVENT_READ)
            continue
        client = key.fileobj
        try:
            data = client.recv(2048)
            client.sendall(data)
        except OSError:
            data = b""
        if not data:
            selector.unregister(client)
            client.close()
