# as: orphan
# fails: outlives_its_parent
# says: did not outlive
import os
import time

pace = float(os.environ.get("LAB_PACE", "1"))
parent = os.getpid()
if os.fork():
    print("부모", os.getpid(), flush=True)
    time.sleep(3 * pace)
else:
    print("고아가 되었습니다. 새 부모:", os.getppid(), flush=True)
