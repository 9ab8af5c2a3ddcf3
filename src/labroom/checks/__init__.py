"""The checks of the labs: who plays, what runs, and the verdicts."""
