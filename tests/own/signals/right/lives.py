# as: sigint_lives
import signal
import time

lives = 10


def handler(signum, frame):
    global lives
    print("목숨:", lives, flush=True)
    lives -= 1
    if lives == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


signal.signal(signal.SIGINT, handler)
print("시작", flush=True)
while True:
    time.sleep(1)
