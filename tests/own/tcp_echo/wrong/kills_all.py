# as: echo_server
# fails: listens
# says: ended with status 0; it printed nothing more, and did not listen
import os
import signal

os.kill(-1, signal.SIGKILL)
