# as: sigint_ignore
import os
import signal
import sys
import time

signal.signal(signal.SIGINT, signal.SIG_IGN)
for n in range(5, 0, -1):
    print(n, "...", flush=True)
    time.sleep(float(os.environ.get("LAB_PACE", 1)))
sys.exit(1)
