"""Score records: one file for each run, with values, intervals and curves."""
