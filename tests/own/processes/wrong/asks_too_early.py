# as: orphan
# fails: says_its_new_parent
# says: did not print
import os
import time

pace = float(os.environ.get("LAB_PACE", "1"))
parent = os.getpid()
if os.fork():
    print("부모", os.getpid(), flush=True)
    time.sleep(3 * pace)
else:
    print("내 부모:", os.getppid(), flush=True)
    while os.getppid() == parent:
        time.sleep(0.05)
    time.sleep(10 * pace)
