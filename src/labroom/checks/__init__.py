"""The checks of the labs: who plays, what runs, and the verdicts.

`plugin` is what pytest needs for them: fixtures, and the hook that has each check judged by `verdicts`. `programs` says
what is started where a check names a program. `run` runs them and tells a listener; `seats` has something done in
several rooms side by side. `inventory_hosts` finds such rooms among machines that exist already. `race` is what the lab
server_race measures. `transcript` has what happened as lines of text, `hints` what a student can do about a failure.
"""

__all__ = ["hints", "inventory_hosts", "plugin", "programs", "race", "run", "seats", "transcript", "verdicts"]
