"""Pieces of a recording: without the silence at its ends; but of backgrounds, at most 15 s."""

from typing import Literal

import numpy as np
from jaxtyping import Float32

Kind = Literal["speech", "music", "effects", "instrument", "background"]

SHORTEST_S = 0.3
_WHOLE_S = 15.0
"""Recordings up to this long stay whole."""
_PIECE_S = 10.0
"""Longer ones are cut into pieces of this length."""
_MOST_S: dict[Kind, float] = {
    **{"speech": 60.0, "music": 80.0, "effects": 180.0, "instrument": 4.0, "background": 60.0}
}
"""Seconds taken of one recording: a long one has much of the same."""

_SILENCE_DB, _QUIET_DB = -65.0, -60.0
_BLOCK_S, _KEPT_BLOCKS = 0.01, 5
_LOUD_BLOCK_S = 0.05

Waveform = Float32[np.ndarray, " sample"]


def trim(waveform: Waveform, sample_rate: int) -> Float32[np.ndarray, " trimmed"]:
    """Without blocks below -65 dBFS at the ends, but for 50 ms; perhaps empty."""
    size = round(_BLOCK_S * sample_rate)
    loud = np.flatnonzero(_levels_db(waveform, size) > _SILENCE_DB)
    if not len(loud):
        return waveform[:0]
    start, end = max(0, loud[0] - _KEPT_BLOCKS), loud[-1] + _KEPT_BLOCKS + 1
    return waveform[start * size : end * size]


def cut(waveform: Waveform, sample_rate: int, kind: Kind) -> list[Float32[np.ndarray, " piece"]]:
    """Pieces spread evenly over the recording, as many as the kind allows; silent ones left out."""
    duration_s = len(waveform) / sample_rate
    if kind in ("instrument", "background"):
        parts = [waveform[: round(_MOST_S[kind] * sample_rate)]]
    elif duration_s <= _WHOLE_S:
        parts = [waveform]
    else:
        n_pieces = int(min(_MOST_S[kind], duration_s) // _PIECE_S)
        size = round(_PIECE_S * sample_rate)
        starts = np.linspace(0, len(waveform) - size, n_pieces).astype(int)
        parts = [waveform[start : start + size] for start in starts.tolist()]
    return [part for part in parts if is_heard(part, sample_rate)]


def is_heard(waveform: Waveform, sample_rate: int) -> bool:
    """Whether the loudest 50 ms reach -60 dBFS."""
    levels_db = _levels_db(waveform, round(_LOUD_BLOCK_S * sample_rate))
    return bool((levels_db >= _QUIET_DB).any())


def _levels_db(waveform: Waveform, size: int) -> Float32[np.ndarray, " block"]:
    """Mean power of each whole block of samples."""
    blocks = waveform[: len(waveform) // size * size].reshape(-1, size)
    return 10 * np.log10(np.square(blocks).mean(axis=1) + np.float32(1e-20))
