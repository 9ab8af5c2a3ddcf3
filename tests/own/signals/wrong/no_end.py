# as: sigint_lives
# fails: eleventh
# says: has not its default action again
import os
import signal
import time

lives = 10


def handler(signum, frame):
    global lives
    os.write(1, f"목숨: {lives}\n".encode())  # print may not be interrupted by itself
    lives -= 1


signal.signal(signal.SIGINT, handler)
print("시작", flush=True)
while True:
    time.sleep(1)
