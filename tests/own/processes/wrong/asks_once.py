# as: wait_poll
# fails: gets_24
# says: did not print 24
import os
import subprocess
import sys
import time

pace = float(os.environ.get("LAB_PACE", 1))
child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({15 * pace}); raise SystemExit(24)"])
print("started", child.pid)
time.sleep(3 * pace)
code = child.poll() or 0
print("exit code", code) if code >= 0 else print("signal", -code)
