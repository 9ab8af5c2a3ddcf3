# as: iterative_server
# fails: listens
# says: python2.py is Python 2: line 9, print "waiting"
import socket
import sys
s = socket.socket()
s.bind(("", int(sys.argv[1])))
s.listen(5)
print "waiting"
while True:
    c, a = s.accept()
    c.sendall(c.recv(1024))
