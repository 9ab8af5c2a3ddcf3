"""`python -m labroom`: the command."""

import signal
import sys

# Until the command itself takes over, Ctrl+C ends the process without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from labroom.cli import main  # noqa: E402

sys.exit(main())
