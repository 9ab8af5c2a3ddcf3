# as: hello_client
# fails: sends_nothing
# says: 'hello' came
import socket
import sys

s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.send(b"hello")
while data := s.recv(100):
    print("Message from server :", data.decode())
s.close()
