"""What a person sees of a run of the checks: lines, a page, a play."""
