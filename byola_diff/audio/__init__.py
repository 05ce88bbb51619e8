"""Waveforms: files, resampling, and the log-mel front end.

Public: `files.read_audio`, `find.find_audio`, `log_mel.LogMel`, `normalize.Normalize`,
`resample.resample`.
"""
