"""What kills, damaged and hostile files do: `python -m tests.faults` prints the figures."""
