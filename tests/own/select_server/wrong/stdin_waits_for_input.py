# as: select_stdin
# fails: times_out
# says: it did not time out
import sys

for line in sys.stdin:
    print("message from console:", line, end="", flush=True)
