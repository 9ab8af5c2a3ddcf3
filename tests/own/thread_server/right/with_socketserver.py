#!/usr/bin/env python3
# as: thread_server
import socketserver
import sys
import threading


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while chunk := self.rfile.read1(4096):
            self.server.say(chunk)
            self.wfile.write(chunk)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    numbers = iter(range(1, 10**9))
    turn = threading.Semaphore()

    def say(self, chunk):
        self.turn.acquire()
        try:
            sys.stdout.buffer.write(b"%d> %s\n" % (next(self.numbers), chunk.strip()))
            sys.stdout.buffer.flush()
        finally:
            self.turn.release()


Server(("", int(sys.argv[1])), Handler).serve_forever()
