# as: byte_order
# fails: zero_bytes
# says: of 1 and 1
import sys


def swapped(n):
    digits = f"{n:x}"
    if len(digits) % 2:
        digits = "0" + digits
    return int.from_bytes(bytes.fromhex(digits)[::-1], "big")


numbers = [int(word, 0) for word in sys.argv[1:]]
short, number = numbers if len(numbers) == 2 else (0x1234, 0x12345678)
print(f"htons({short:#06x}) = {swapped(short):#06x}")
print(f"htonl({number:#010x}) = {swapped(number):#010x}")
print("in memory:", number.to_bytes(4, "little").hex(" "))
print("on the wire:", number.to_bytes(4, "big").hex(" "))
