# as: closing_client
import cmd
import socket
import sys


class Calls(cmd.Cmd):
    prompt = "(tcp) "

    def do_send(self, text):
        print("보낸 바이트:", sock.send(text.encode()))

    def do_recv(self, _):
        data = sock.recv(1024)
        print("받은 바이트:", len(data), data.decode(errors="replace"))

    def do_close(self, _):
        return True

    def emptyline(self):
        pass

    do_EOF = do_close


sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("connected to", sys.argv[1])
try:
    Calls().cmdloop()
except OSError as error:
    sys.exit(f"recv: {error.strerror}")
sock.close()
