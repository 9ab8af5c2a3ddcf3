# as: echo_server
# fails: listens
# says: No space left on device
number = 0
while True:
    number += 1
    with open(f"/tmp/filling{number}", "wb") as file:
        file.write(b"x" * (50 << 20))
