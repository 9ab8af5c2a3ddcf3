# as: select_stdin
import os
import select
import sys

pace = float(os.environ.get("LAB_PACE", 1))
while True:
    r, w, x = select.select([sys.stdin], [], [], 3 * pace)
    if not r:
        print("아무 입력이 없습니다 (3초)")
        continue
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    print(">>", line, end="")
