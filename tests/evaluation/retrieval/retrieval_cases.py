"""Pairs whose answer is known: the second clip is the first plus the direction of its text."""

import torch

from byola_diff.audio.files import write_wav
from byola_diff.evaluation.retrieval.train import EmbeddedPairs
from byola_diff.tables.pairs import Pair, write_pairs

N_PAIRS, N_TRAIN, N_VALID = 700, 500, 100
TRAIN, VALID = torch.arange(N_TRAIN), torch.arange(N_TRAIN, N_TRAIN + N_VALID)
TEST = torch.arange(N_TRAIN + N_VALID, N_PAIRS)


def learnable_pairs(n_pairs=N_PAIRS, dim=24, shuffled=False, n_classes=2, seed=0):
    """Clips are Gaussian, and a text moves all of them alike; shuffled, it moves another pair."""
    generator = torch.Generator().manual_seed(seed)
    moves = torch.randn(8, dim, generator=generator)
    first = torch.randn(n_pairs, dim, generator=generator)
    wording = torch.randint(8, (n_pairs,), generator=generator)
    second = first + moves[wording]
    if shuffled:
        second = second[torch.randperm(n_pairs, generator=generator)]
    labels = (torch.rand(2, n_pairs, n_classes, generator=generator) < 0.5).float()
    return EmbeddedPairs(
        audio=torch.cat([first, second]),
        text=torch.randn(8, 16, generator=generator),
        clips=torch.arange(2 * n_pairs).view(2, n_pairs),
        wording=wording,
        labels=labels,
    )


RATE = 8000


def write_tone_pairs(root, scenes=("rain",), n_train=12, n_test=4):
    """A table of pairs of short tones; the second clip has a tone more, or less."""
    rows = []
    for scene in scenes:
        for number in range(n_train + n_test):
            split = "train" if number < n_train else "test"
            name = f"{scene}_{number:02d}"
            time_s = torch.arange(1600) / RATE
            low = 0.3 * torch.sin(2 * torch.pi * (200 + 10 * number) * time_s)
            high = 0.3 * torch.sin(2 * torch.pi * 1500 * time_s)
            add = number % 2 == 0
            first, second = (low, low + high) if add else (low + high, low)
            for side, waveform in (("s1", first), ("s2", second)):
                write_wav(root / f"wav/{name}_{side}.wav", waveform.numpy(), RATE)
            labels = ((), ("beep",)) if add else (("beep",), ())
            text = "add a beep" if add else "remove the beep"
            files = (f"wav/{name}_s1.wav", f"wav/{name}_s2.wav")
            rows.append(Pair(name, scene, split, *files, *labels, text))
    write_pairs(root / "pairs.csv", rows)
    return root / "pairs.csv"
