# as: alarm
# fails: each_sleep_has_an_alarm
# says: SIGALRM came once
import signal
import time


def handler(signum, frame):
    print("timeout~", flush=True)
    raise InterruptedError


signal.signal(signal.SIGALRM, handler)
signal.alarm(2)
for i in range(5):
    print("wait...", flush=True)
    try:
        time.sleep(100 if i == 0 else 2)
    except InterruptedError:
        pass
