# as: wait_two
# fails: both_statuses
# says: 1 of its children
import os
import sys

pids = []
for code in (3, 7):
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    pids.append(pid)
_, status = os.waitpid(pids[0], 0)
print(f"child send: {os.waitstatus_to_exitcode(status)}")
print("child send: 7", flush=True)
import time

time.sleep(2)
sys.exit(0)
