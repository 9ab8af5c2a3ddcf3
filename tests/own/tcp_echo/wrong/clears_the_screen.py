# as: echo_server
# fails: listens
# says: it printed '\x1b]52;c;aGVsbG8=\x07\x1b[2Jpassed', and did not listen
print("\x1b]52;c;aGVsbG8=\x07\x1b[2Jpassed")
