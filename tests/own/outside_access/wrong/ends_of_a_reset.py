# as: select_server
# fails: much_from_outside
# says: Connection reset by peer
import selectors
import socket
import sys

selector = selectors.DefaultSelector()
listener = socket.create_server(("", int(sys.argv[1])))
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            client, address = listener.accept()
            print("new client", address)
            selector.register(client, selectors.EVENT_READ)
            continue
        client = key.fileobj
        data = client.recv(2048)
        client.sendall(data)
        if not data:
            selector.unregister(client)
            client.close()
