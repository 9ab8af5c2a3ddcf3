# as: small_writes_server
import socket
import sys

with socket.create_server(("", int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        try:
            client.sendall(b"ready\n")
            with client.makefile("rb") as lines:
                for line in lines:
                    if line.endswith(b"\n"):
                        client.sendall(f"{len(line)} bytes\n".encode())
        except OSError as error:
            print(address, error)
        client.close()
