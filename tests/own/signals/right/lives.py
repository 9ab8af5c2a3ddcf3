# as: sigint_lives
import os
import signal
import time

lives = 10


def handler(signum, frame):
    global lives
    os.write(1, f"목숨: {lives}\n".encode())  # print may not be interrupted by itself
    lives -= 1
    if lives == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


signal.signal(signal.SIGINT, handler)
print("시작", flush=True)
while True:
    time.sleep(1)
