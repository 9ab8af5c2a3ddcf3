"""`python -m labroom`: the command."""

import sys

from labroom.cli import main

sys.exit(main())
