"""What a kill, a damaged file or a hostile one does: `python -m tests.faults` prints the figures."""
