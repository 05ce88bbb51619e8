"""Sources of training clips, and which crop of which clip belongs to which step."""
