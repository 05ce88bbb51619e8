"""The polyphony curve: what a linear probe hears of mixtures, by how many sources they have.

Mixtures are of 1 to 8 sources of different labels, at equal loudness.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from byola_diff.evaluation.additivity.folders import SoundFile, read_events
from byola_diff.evaluation.additivity.measures import Embed, embed_all
from byola_diff.evaluation.additivity.quadruples import level_events
from byola_diff.optional import require
from byola_diff.probing.standard import mean_and_deviation
from byola_diff.randomness import derive_seed
from byola_diff.sounds import FOREGROUNDS, render

MAX_SOURCES = 8

_CLIPS = {"train": 16, "test": 8}
"""Clips per label, at most."""

_PENALTIES = 10.0 ** np.arange(-4, 3)
"""Penalties of ridge regression, in shares of the mean squared length of an embedding."""


SourcePool = dict[str, dict[str, Tensor]]
"""By side and label, clips [clip, sample] of one loudness. Both sides, "train" and "test", have the
same labels, and none of the test is among those of the training."""


def procedural_pool(seed: int, sample_rate: int, n_samples: int) -> SourcePool:
    """Procedural events of all families; a ValueError if clips are too short to hear one."""

    def clips(label: str, side: str) -> Tensor:
        index = torch.arange(_CLIPS[side])
        sound_seed = derive_seed(seed, "polyphony", side)
        sounds = render([label] * len(index), sound_seed, index, n_samples, sample_rate)
        # A short clip may end before its event begins.
        heard = sounds[sounds.any(1)]
        if len(heard) == 0:
            raise ValueError(f"{label} is silent in so short clips: use a longer --duration-s")
        return level_events(heard)

    return {side: {label: clips(label, side) for label in FOREGROUNDS} for side in _CLIPS}


def file_pool(
    files: Sequence[SoundFile], seed: int, sample_rate: int, n_samples: int
) -> SourcePool:
    """Clips of files: of each label two thirds for training, one third for the test.

    Parts of one recording stay on one side, whatever their labels.

    Raises:
        ValueError: If fewer than two labels have two files, or all recordings of a label are on one
            side for the sake of other labels that they have.
        AudioFileError: If a file is unreadable, silent or too short.
    """
    pool: SourcePool = {"train": {}, "test": {}}
    side_of: dict[str, str] = {}
    for label in usable_labels(files):
        ours = [file for file in files if file.label == label]
        order = _shuffled_recordings(ours, seed, label)
        n_test = min(_CLIPS["test"], max(1, len(order) // 3))
        missing = n_test - sum(side_of.get(recording) == "test" for recording in order)
        for recording in order:
            if recording not in side_of:
                side_of[recording] = "test" if missing > 0 else "train"
                missing -= 1
        for side, n_clips in _CLIPS.items():
            chosen = [recording for recording in order if side_of[recording] == side][:n_clips]
            if not chosen:
                raise ValueError(
                    f"all recordings of {label!r} have other labels too, for which they are on one "
                    "side of training and test: use --polyphony-clips 0"
                )
            kept = [file for file in ours if file.recording in chosen][:n_clips]
            pool[side][label] = level_events(read_events(kept, seed, sample_rate, n_samples))
    return pool


def _shuffled_recordings(files: Sequence[SoundFile], seed: int, label: str) -> list[str]:
    """The recordings that the files of a label are of, in an order drawn for it."""
    by_name = sorted(files, key=lambda file: (file.name, file.recording))
    recordings = list(dict.fromkeys(file.recording for file in by_name))
    rng = np.random.default_rng(derive_seed(seed, "polyphony files", label))
    return [recordings[index] for index in rng.permutation(len(recordings))]


def usable_labels(files: Sequence[SoundFile]) -> list[str]:
    """Labels with two recordings at least, sorted: one to train on, one to test on.

    Raises:
        ValueError: If there are fewer than two.
    """
    recordings = Counter(label for label, _ in {(f.label, f.recording) for f in files if f.label})
    labels = sorted(label for label, n_recordings in recordings.items() if n_recordings > 1)
    if len(labels) < 2:
        raise ValueError(
            f"{len(labels)} labels have two event files or more, and polyphony needs two such "
            "labels: use --polyphony-clips 0"
        )
    return labels


def mix_sources(
    pool: SourcePool, side: str, rows: range, seed: int
) -> tuple[Float[Tensor, "mixture sample"], Bool[Tensor, "mixture label"]]:
    """Mixtures of 1, 2, ... sources in turn, and which labels each has.

    Mixture k depends on the seed, the side ("train" or "test") and k alone. One that would leave
    [-1, 1] is scaled down as a whole.
    """
    labels, waveforms = sorted(pool[side]), []
    present = torch.zeros(len(rows), len(labels), dtype=torch.bool)
    for row, number in enumerate(rows):
        rng = np.random.default_rng(derive_seed(seed, "polyphony mixture", side, number))
        n_sources = number % min(MAX_SOURCES, len(labels)) + 1
        chosen = rng.choice(len(labels), n_sources, replace=False).tolist()
        sources = [pool[side][labels[index]] for index in chosen]
        mixture = torch.stack([source[rng.integers(len(source))] for source in sources]).sum(0)
        waveforms.append(mixture / mixture.abs().max().clamp(min=1))
        present[row, chosen] = True
    return torch.stack(waveforms), present


def polyphony_curve(
    embed: Embed,
    pool: SourcePool,
    n_clips: int,
    seed: int,
    batch_size: int = 50,
    device: torch.device | str = "cpu",
) -> dict[int, float]:
    """Share of the k labels of a mixture that are among its k best scored ones, by k.

    One linear probe for all, trained on `n_clips` mixtures of 1, 2, ... sources in turn, and tested
    on as many of other clips. Chance is k / labels.

    Raises:
        ValueError: If an embedding is not finite.
    """
    sides = []
    for side in ("train", "test"):
        embeddings, present = [], []
        for start in range(0, n_clips, batch_size):
            rows = range(start, min(start + batch_size, n_clips))
            waveforms, labels = mix_sources(pool, side, rows, seed)
            embeddings.append(embed_all(embed, waveforms, batch_size, device))
            present.append(labels)
        sides += [torch.cat(embeddings).double().numpy(), torch.cat(present).numpy()]
        if not np.isfinite(sides[-2]).all():
            raise ValueError("an embedding is NaN or infinite")
    train, train_present, test, test_present = sides
    found = share_found(ridge_scores(train, train_present, test), test_present)
    n_sources = test_present.sum(1)
    return {int(n): float(found[n_sources == n].mean()) for n in np.unique(n_sources)}


def ridge_scores(
    train: Float[np.ndarray, "clip dim"],
    present: Bool[np.ndarray, "clip label"],
    test: Float[np.ndarray, "other dim"],
) -> Float[np.ndarray, "other label"]:
    """Scores of each label on `test`, by one ridge regression per label on its indicator.

    Embeddings are standardised by the training part; the penalty has the smallest leave-one-out
    error there.
    """
    linear_model = require("sklearn.linear_model", "evaluate", "the polyphony probe")
    mean, deviation = mean_and_deviation(train)
    standard = (train - mean) / deviation
    # The mean squared singular value, of which a penalty is a share.
    size = float(np.square(standard).sum()) / min(standard.shape) or 1.0
    ridge = linear_model.RidgeCV(size * _PENALTIES).fit(standard, present.astype(np.float64))
    return ridge.predict((test - mean) / deviation)


def share_found(
    scores: Float[np.ndarray, "clip label"], present: Bool[np.ndarray, "clip label"]
) -> Float[np.ndarray, " clip"]:
    """Share of the k present labels that are among the k with the highest scores; ties are lost."""
    # Among equal scores, absent labels come first.
    ranked = np.take_along_axis(present, np.lexsort((present, -scores), axis=1), axis=1)
    n_present = present.sum(1, keepdims=True)
    inside = np.arange(present.shape[1]) < n_present
    return ranked.mean(1, where=inside)
