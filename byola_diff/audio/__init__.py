"""Waveforms: files, resampling, and the log-mel front end."""
