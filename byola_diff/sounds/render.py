"""The families of sounds by name, and clips of them, one family per clip."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.sounds import impacts, machines, nature, tones, voices
from byola_diff.sounds.inputs import Draw, TimeAxis, uniform_rows

Family = Callable[[Draw, TimeAxis], Tensor]
"""Parameters and time axis of a batch to its waveforms [batch, sample], at any level."""


def _families(*modules: ModuleType) -> dict[str, Family]:
    """Functions of each module, in alphabetical order, that take a draw and a time axis alone."""
    return {
        name: found
        for module in modules
        for name, found in sorted(inspect.getmembers(module, inspect.isfunction))
        if found.__module__ == module.__name__
        and list(inspect.signature(found).parameters) == ["draw", "time"]
    }


FOREGROUNDS = _families(tones, voices, impacts)
"""Events with silence before and after them; silent in the first tenth of a clip."""
BACKGROUNDS = _families(machines, nature)
"""Sounds that go on at one level, of any length."""
_FAMILIES = FOREGROUNDS | BACKGROUNDS


def render(
    families: Sequence[str],
    seed: int,
    indices: Int[Tensor, " batch"],
    n_samples: int,
    sample_rate: int,
) -> Float[Tensor, "batch sample"]:
    """Waveforms on the device of `indices`, with peaks between -30 and 0 dBFS.

    Clip k depends on (families[k], seed, indices[k]) alone, whatever it is rendered with: on a name
    of `FOREGROUNDS` or `BACKGROUNDS`, the seed of the corpus and the number of the clip in it.

    Raises:
        ValueError: If a family is unknown, a length below 1, or there is not one name per clip.
    """
    finish = partial(at_random_level, spread_db=30.0)
    return render_with(finish, families, seed, indices, n_samples, sample_rate)


def render_with(
    finish: Callable[[Draw, Tensor], Tensor],
    families: Sequence[str],
    seed: int,
    indices: Int[Tensor, " batch"],
    n_samples: int,
    sample_rate: int,
    moved: float = 0.0,
) -> Float[Tensor, "batch sample"]:
    """As `render`, with another last step than a random level: of draws and sounds of a family.

    Parameters are `moved` as in `uniform_rows`.
    """
    if unknown := sorted(set(families) - _FAMILIES.keys()):
        raise ValueError(f"unknown families {unknown}; there are {sorted(_FAMILIES)}")
    if len(families) != len(indices):
        raise ValueError(f"{len(families)} families for {len(indices)} clips")
    if n_samples < 1 or sample_rate < 1:
        raise ValueError(f"n_samples {n_samples} and sample_rate {sample_rate} must be positive")
    uniforms = uniform_rows(seed, indices, families, moved)
    waveform = torch.empty(len(indices), n_samples, device=indices.device)
    # Small groups keep a family's intermediate results in the cache of a CPU.
    largest = 8 if indices.device.type == "cpu" else len(indices)
    rows_of = defaultdict(list)
    for row, family in enumerate(families):
        rows_of[family].append(row)
    for family, rows in rows_of.items():
        for group in torch.tensor(rows, device=indices.device).split(largest):
            draw = Draw(uniforms[group])
            waveform[group] = finish(draw, _sound(family, draw, n_samples, sample_rate))
    return waveform


def _sound(family: str, draw: Draw, n_samples: int, sample_rate: int) -> Tensor:
    onset_s = draw.uniform("onset", 0.1, 0.5) * (n_samples / sample_rate)
    onset_s = onset_s if family in FOREGROUNDS else 0 * onset_s
    sound = _FAMILIES[family](draw, TimeAxis(n_samples, sample_rate, onset_s))
    # What is left of a mean is taken where there is sound, so that silence stays silent.
    size = sound.abs()
    return sound - size * (sound.mean(1) / size.mean(1).clamp(min=1e-12))[:, None]


def at_random_level(
    draw: Draw, sound: Float[Tensor, "batch sample"], spread_db: float
) -> Float[Tensor, "batch sample"]:
    """Sounds with peaks anywhere between `-spread_db` and 0 dBFS."""
    peak = sound.abs().amax(dim=1, keepdim=True).clamp(min=1e-6)
    return sound * (10 ** (draw.uniform("level_db", -spread_db, 0) / 20) / peak)
