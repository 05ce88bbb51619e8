"""The HEAR benchmark: its tasks, its grid of probes and its scores."""
