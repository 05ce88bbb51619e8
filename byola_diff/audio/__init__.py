"""Waveforms: files, resampling, and the log-mel front end."""

from byola_diff.audio.files import (
    AudioFileError,
    AudioReader,
    find_audio,
    open_audio,
    read_audio,
    to_pcm16,
    write_wav,
)
from byola_diff.audio.log_mel import LogMel, log_mix
from byola_diff.audio.normalize import Normalize, corpus_statistics, normalize_views
from byola_diff.audio.waveform import checked_waveform

__all__ = [
    "AudioFileError",
    "AudioReader",
    "LogMel",
    "Normalize",
    "checked_waveform",
    "corpus_statistics",
    "find_audio",
    "log_mix",
    "normalize_views",
    "open_audio",
    "read_audio",
    "to_pcm16",
    "write_wav",
]
