#!/usr/bin/env python3
# as: echo_server
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        print(self.client_address, "님이 접속했습니다")
        while data := self.request.recv(100):
            self.request.sendall(data)


with socketserver.ThreadingTCPServer(("", int(sys.argv[1])), Echo) as server:
    server.serve_forever()
