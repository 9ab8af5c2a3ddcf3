# as: sigint_ignore
# fails: ignores
# says: does not ignore SIGINT
import os
import signal
import sys
import time

signal.signal(signal.SIGINT, lambda *_: None)
for n in range(5, 0, -1):
    print(n, "...", flush=True)
    time.sleep(float(os.environ.get("LAB_PACE", 1)))
sys.exit(1)
