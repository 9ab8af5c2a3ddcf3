# as: wait_two
import os
import sys

pids = []
for code in (3, 7):
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    pids.append(pid)
for pid in reversed(pids):
    _, status = os.waitpid(pid, 0)
    print(f"child send: {os.waitstatus_to_exitcode(status)}")
sys.exit(0)
