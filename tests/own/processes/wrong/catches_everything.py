# as: wait_poll
# fails: names_the_call
# says: fork: Resource temporarily unavailable
import os
import sys
import time

try:
    pid = os.fork()
except Exception:
    print("error")
    sys.exit(1)
if pid == 0:
    time.sleep(15)
    os._exit(24)
print("waiting", end="", flush=True)
while True:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        break
    print(".", end="", flush=True)
    time.sleep(3)
print()
if os.WIFSIGNALED(status):
    print("the child was killed:", os.WTERMSIG(status))
else:
    print("the child has ended:", os.WEXITSTATUS(status))
