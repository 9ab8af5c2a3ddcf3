# as: sigint_lives
# fails: eleventh
# says: after the tenth
import signal, time
lives = 10
def on_int(signum, frame):
    global lives
    print(f"Received SIGINT... {lives} Lives Left", flush=True)
    lives -= 1
    if lives == 0:
        raise SystemExit(130)
signal.signal(signal.SIGINT, on_int)
print("Ctrl+C를 눌러 보세요", flush=True)
while True:
    time.sleep(1)
