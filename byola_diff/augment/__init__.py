"""Views of log-mel batches: mixtures, crops and faders, drawn anew for each clip."""
