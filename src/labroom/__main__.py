"""`python -m labroom`: the command."""

import signal
import sys

# Until the command itself takes over, Ctrl+C ends the process without a word; the launcher has it wait until here.
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

from labroom.cli import main  # noqa: E402

sys.exit(main())
