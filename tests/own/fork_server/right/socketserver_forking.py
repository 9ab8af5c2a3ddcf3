#!/usr/bin/env python3
# as: fork_server
import socketserver
import sys


class EchoHandler(socketserver.StreamRequestHandler):
    def handle(self):
        print("%s:%d connected" % self.client_address, flush=True)
        while chunk := self.rfile.read1(2000):
            self.wfile.write(chunk)


class Server(socketserver.ForkingTCPServer):
    allow_reuse_address = True


if len(sys.argv) != 2:
    sys.exit("usage: server PORT")
with Server(("0.0.0.0", int(sys.argv[1])), EchoHandler) as server:
    server.serve_forever()
