# as: pipe_two
# fails: two_pipes
# says: the child did not get the answer
import os

r1, w1 = os.pipe()
r2, w2 = os.pipe()
if os.fork() == 0:
    os.close(r1)
    os.close(w2)
    os.write(w1, b"Who are you?")
    print("child got:", os.read(r2, 100).decode())
else:
    print("parent got:", os.read(r1, 100).decode())
    os.close(w2)
    os.wait()
