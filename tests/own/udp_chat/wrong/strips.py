# as: udp_echo_server
# fails: every_byte
# says: 8 came, of 9 bytes
import socketserver
import sys


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        print(f"{self.client_address[0]}:{self.client_address[1]} -> {data!r}", flush=True)
        sock.sendto(data.rstrip(b"\n\0"), self.client_address)


class Big(socketserver.UDPServer):
    max_packet_size = 65535


with Big(("", int(sys.argv[1])), Handler) as server:
    server.serve_forever(poll_interval=0.2)
