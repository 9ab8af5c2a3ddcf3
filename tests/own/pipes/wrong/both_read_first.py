# as: pipe_two
# fails: two_pipes
# says: the question was not printed
import os

r1, w1 = os.pipe()
r2, w2 = os.pipe()
if os.fork() == 0:
    os.close(r1)
    os.close(w2)
    print("child got:", os.read(r2, 100).decode())
    os.write(w1, b"Who are you?")
else:
    print("parent got:", os.read(r1, 100).decode())
    os.write(w2, b"Thank you")
    os.wait()
