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
while (code := child.poll()) is None:
    print("아직 실행 중", flush=True)
    time.sleep(3 * pace)
print("exit code", code << 8) if code >= 0 else print("signal", -code)
