"""The benchmarks, a folder for each, and what they share."""
