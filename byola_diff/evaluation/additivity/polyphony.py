"""Mixtures of 1 to 8 sources of different labels, at equal loudness, with what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from byola_diff.evaluation.additivity.folders import SoundFile, read_events
from byola_diff.evaluation.additivity.mixing import level_events
from byola_diff.randomness import derive_seed
from byola_diff.sounds import FOREGROUNDS, render

MAX_SOURCES = 8

_CLIPS = {"train": 16, "test": 8}
"""Clips per label, at most."""


@dataclass(frozen=True)
class SourcePool:
    """Clips by label, all of one loudness; none of the test is among those of the training."""

    train: dict[str, Tensor]
    """[clip, sample]"""
    test: dict[str, Tensor]

    @property
    def labels(self) -> list[str]:
        """All labels, sorted."""
        return sorted(self.train)

    @property
    def max_sources(self) -> int:
        """Most sources in a mixture, in which no label occurs twice."""
        return min(MAX_SOURCES, len(self.train))


@dataclass(frozen=True)
class Mixtures:
    """Waveforms [mixture, sample] and which labels [mixture, label] each has."""

    waveforms: Tensor
    present: Tensor


def procedural_pool(seed: int, sample_rate: int, n_samples: int) -> SourcePool:
    """Procedural events of all families.

    Raises:
        ValueError: If all clips of a family are silent, being too short for it.
    """

    def clips(label: str, side: str) -> Tensor:
        index = torch.arange(_CLIPS[side])
        sound_seed = derive_seed(seed, "polyphony", side)
        sounds = render([label] * len(index), sound_seed, index, n_samples, sample_rate)
        # A short clip may end before its event begins.
        heard = sounds[sounds.any(1)]
        if len(heard) == 0:
            raise ValueError(f"{label} is silent in so short clips: use a longer --duration-s")
        return level_events(heard)

    return SourcePool(*({label: clips(label, side) for label in FOREGROUNDS} for side in _CLIPS))


def file_pool(
    files: Sequence[SoundFile], seed: int, sample_rate: int, n_samples: int
) -> SourcePool:
    """Clips of files: of each label two thirds for training, one third for the test.

    Raises:
        ValueError: If fewer than two labels have two files.
        AudioFileError: If a file is unreadable, silent or too short.
    """
    pools: dict[str, dict[str, Tensor]] = {"train": {}, "test": {}}
    for label, parts in _split_files(files, seed).items():
        for side, chosen in parts.items():
            pools[side][label] = level_events(read_events(chosen, seed, sample_rate, n_samples))
    return SourcePool(pools["train"], pools["test"])


def usable_labels(files: Sequence[SoundFile]) -> list[str]:
    """Labels with two files at least, sorted: one to train on, one to test on.

    Raises:
        ValueError: If there are fewer than two.
    """
    of_label: dict[str, set[str]] = {}
    for file in files:
        if file.label:
            of_label.setdefault(file.label, set()).add(file.name)
    labels = sorted(label for label, names in of_label.items() if len(names) > 1)
    if len(labels) < 2:
        raise ValueError(
            f"{len(labels)} labels have two event files or more, and polyphony needs two such "
            "labels: use --polyphony-clips 0"
        )
    return labels


def mix_sources(pool: SourcePool, side: str, rows: range, seed: int) -> Mixtures:
    """Mixtures of 1, 2, ... sources in turn; mixture k depends on the seed, the side and k alone.

    A mixture that would leave [-1, 1] is scaled down as a whole.

    Args:
        pool: Where sources come from.
        side: "train" or "test".
        rows: Numbers of the mixtures.
        seed: Of the draws.
    """
    clips = pool.train if side == "train" else pool.test
    labels, waveforms = pool.labels, []
    present = torch.zeros(len(rows), len(labels), dtype=torch.bool)
    for row, number in enumerate(rows):
        rng = np.random.default_rng(derive_seed(seed, "polyphony mixture", side, number))
        n_sources = number % pool.max_sources + 1
        chosen = rng.choice(len(labels), n_sources, replace=False).tolist()
        sources = [clips[labels[index]] for index in chosen]
        mixture = torch.stack([source[rng.integers(len(source))] for source in sources]).sum(0)
        waveforms.append(mixture / mixture.abs().max().clamp(min=1))
        present[row, chosen] = True
    return Mixtures(torch.stack(waveforms), present)


def _split_files(files: Sequence[SoundFile], seed: int) -> dict[str, dict[str, list[SoundFile]]]:
    """Files of each side by label; parts of one file stay on one side."""
    split = {}
    for label in usable_labels(files):
        ours = [file for file in files if file.label == label]
        names = sorted({file.name for file in ours})
        rng = np.random.default_rng(derive_seed(seed, "polyphony files", label))
        order = [names[index] for index in rng.permutation(len(names))]
        n_test = min(_CLIPS["test"], max(1, len(order) // 3))
        sides = {
            "test": order[:n_test],
            "train": order[n_test : n_test + _CLIPS["train"]],
        }
        split[label] = {
            side: [file for file in ours if file.name in chosen][: _CLIPS[side]]
            for side, chosen in sides.items()
        }
    return split
