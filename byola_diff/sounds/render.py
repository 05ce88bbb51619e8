"""Clips of named families, one family per clip."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.sounds.draw import Draw, uniform_rows
from byola_diff.sounds.registry import BACKGROUNDS, FOREGROUNDS
from byola_diff.sounds.time_axis import TimeAxis

_LEVEL_SPREAD_DB = 30.0

Finish = Callable[[Draw, Tensor], Tensor]
"""Last step of a group of clips of one family: their draws and sounds to what is wanted."""


def render(
    families: Sequence[str],
    seed: int,
    indices: Int[Tensor, " batch"],
    n_samples: int,
    sample_rate: int,
) -> Float[Tensor, "batch sample"]:
    """Waveforms on the device of `indices`, with peaks between -30 and 0 dBFS.

    Clip k depends on (families[k], seed, indices[k]) alone, whatever it is rendered with.

    Args:
        families: One name of `FOREGROUNDS` or `BACKGROUNDS` per clip.
        seed: The seed of the corpus.
        indices: Numbers of the clips in it.
        n_samples: Length of every clip.
        sample_rate: Hz.

    Raises:
        ValueError: If a family is unknown, a length below 1, or there is not one name per clip.
    """
    return render_with(_at_random_level, families, seed, indices, n_samples, sample_rate)


def render_with(
    finish: Finish,
    families: Sequence[str],
    seed: int,
    indices: Int[Tensor, " batch"],
    n_samples: int,
    sample_rate: int,
) -> Float[Tensor, "batch sample"]:
    """As `render`, with another last step than a random level."""
    _check(families, len(indices), n_samples, sample_rate)
    uniforms = uniform_rows(seed, indices, families)
    waveform = torch.empty(len(indices), n_samples, device=indices.device)
    # Small groups keep a family's intermediate results in the cache of a CPU.
    largest = 8 if indices.device.type == "cpu" else len(indices)
    rows_of = defaultdict(list)
    for row, family in enumerate(families):
        rows_of[family].append(row)
    for family, rows in rows_of.items():
        for group in torch.tensor(rows, device=indices.device).split(largest):
            draw = Draw(uniforms[group])
            sound = _sound(family, draw, n_samples, sample_rate)
            waveform[group] = finish(draw, sound)
    return waveform


def _sound(family: str, draw: Draw, n_samples: int, sample_rate: int) -> Tensor:
    onset_s = draw.uniform("onset", 0.1, 0.5) * (n_samples / sample_rate)
    if family in FOREGROUNDS:
        sound = FOREGROUNDS[family](draw, TimeAxis(n_samples, sample_rate, onset_s))
    else:
        sound = BACKGROUNDS[family](draw, TimeAxis(n_samples, sample_rate, 0 * onset_s))
    # What is left of a mean is taken where there is sound, so that silence stays silent.
    size = sound.abs()
    return sound - size * (sound.mean(1) / size.mean(1).clamp(min=1e-12))[:, None]


def _at_random_level(draw: Draw, sound: Tensor) -> Tensor:
    peak = sound.abs().amax(dim=1, keepdim=True).clamp(min=1e-6)
    return sound * (10 ** (draw.uniform("level_db", -_LEVEL_SPREAD_DB, 0) / 20) / peak)


def _check(families: Sequence[str], n_clips: int, n_samples: int, sample_rate: int) -> None:
    known = FOREGROUNDS | BACKGROUNDS
    unknown = sorted(set(families) - known.keys())
    if unknown:
        raise ValueError(f"unknown families {unknown}; there are {sorted(known)}")
    if len(families) != n_clips:
        raise ValueError(f"{len(families)} families for {n_clips} clips")
    if n_samples < 1 or sample_rate < 1:
        raise ValueError(f"n_samples {n_samples} and sample_rate {sample_rate} must be positive")
