# as: handlers
# fails: three_dispositions
# says: SIGUSR1 came under a handler, then SIG_DFL
import os
import signal

try:
    signal.signal(signal.SIGKILL, signal.SIG_IGN)
except OSError as e:
    print(e)
signal.signal(signal.SIGUSR1, lambda *_: print("greet: I got SIGUSR1"))
os.kill(os.getpid(), signal.SIGUSR1)
print("signal(SIGUSR1, SIG_IGN) returned greet")
signal.signal(signal.SIGUSR1, signal.SIG_DFL)
os.kill(os.getpid(), signal.SIGUSR1)
