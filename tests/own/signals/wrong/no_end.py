# as: sigint_lives
# fails: eleventh
# says: has not its default action again
import signal
import time

lives = 10


def handler(signum, frame):
    global lives
    print("목숨:", lives, flush=True)
    lives -= 1


signal.signal(signal.SIGINT, handler)
print("시작", flush=True)
while True:
    time.sleep(1)
