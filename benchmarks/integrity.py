"""What it costs that all that is read back is checked: with the checks and without, side by side.

    python benchmarks/integrity.py

Packed sounds and cached embeddings are compared with their hashes, checkpoints and bundles with
theirs; of a recording it is checked whether it holds what its header claims. Without: the same
bytes by numpy, soundfile and torch alone. One thread, files in the memory of the system; the least
of several rounds in turn.
"""

import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from byola_diff.audio.files import read_audio, write_wav
from byola_diff.commands import prepare_clips
from byola_diff.storage import load_checked, save_checked, sha256
from byola_diff.store.packed import PackedStore, shard_name

RATE, CLIP_S, UNIT_SAMPLES = 16_000, 10.0, 15_200
N_CLIPS, N_CROPS = 64, 1000


class Pair(NamedTuple):
    """The same work twice; how often each call does it."""

    what: str
    plain: Callable[[], object]
    checked: Callable[[], object]
    per_call: int = 1


def main() -> None:
    """Print one table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_sounds(folder / "sounds")
        prepare_clips.main([str(folder / "sounds"), str(folder / "store"), f"--sample-rate={RATE}"])
        pairs = [*of_store(folder / "store"), *of_files(folder), *of_tensors(folder)]
        print(f"{'':46} {'without':>10} {'with':>10} {'ratio':>6}")
        for pair in pairs:
            plain_s, checked_s = least_s(pair)
            row = f"{1e6 * plain_s:7.0f} us {1e6 * checked_s:7.0f} us {checked_s / plain_s:6.2f}"
            print(f"{pair.what:46} {row}")


def write_sounds(folder: Path) -> None:
    """Noise of ten seconds: what no codec makes small."""
    rng = np.random.default_rng(0)
    for number in range(N_CLIPS):
        write_wav(folder / f"{number}.wav", 0.1 * rng.standard_normal(int(CLIP_S * RATE)), RATE)


def of_store(path: Path) -> list[Pair]:
    """Crops as training reads them, first and later; a whole shard; opening the store."""
    draw, store = np.random.default_rng(1), PackedStore.open(path)
    places = draw.integers((0, 0), (N_CLIPS, int(CLIP_S * RATE) - UNIT_SAMPLES), (N_CROPS, 2))
    shard = path / shard_name(0)

    def plain() -> None:
        for clip, start in places:
            offset = 2 * (int(store.index[clip, 1]) + int(start))
            np.fromfile(shard, "<i2", UNIT_SAMPLES, offset=offset)

    def crops(opened: PackedStore, chosen: np.ndarray) -> None:
        for clip, start in chosen:
            opened.read(int(clip), int(start), UNIT_SAMPLES)

    def first_plain() -> None:
        for clip in range(N_CLIPS):
            np.fromfile(shard, "<i2", UNIT_SAMPLES, offset=2 * int(store.index[clip, 1]))

    firsts = np.stack([np.arange(N_CLIPS), np.zeros(N_CLIPS, int)], axis=1)
    return [
        Pair("crop of 0.95 s, packed; first read of its place", first_plain,
             lambda: crops(PackedStore.open(path), firsts), N_CLIPS),
        Pair("crop of 0.95 s, packed; read before", plain, lambda: crops(store, places), N_CROPS),
        Pair("clip of 10 s, packed, read in whole shards", lambda: np.fromfile(shard, "<i2"),
             lambda: store.read_shard(0), N_CLIPS),
    ]  # fmt: skip


def of_files(folder: Path) -> list[Pair]:
    """Recordings of ten seconds, whole; and the hash by which cached embeddings know a clip."""
    wav, pairs = folder / "sounds" / "0.wav", []
    samples = soundfile.read(wav)[0]
    for suffix in ("wav", "flac", "ogg", "mp3"):
        path = folder / f"one.{suffix}"
        soundfile.write(path, samples, RATE)
        pairs.append(
            Pair(
                f"clip of 10 s, {suffix}",
                lambda path=path: soundfile.read(path, dtype="float32"),
                lambda path=path: read_audio(path),
            )
        )
    key = Pair("clip of 10 s, wav, read and known by its hash", lambda: read_audio(wav),
               lambda: (read_audio(wav), sha256(wav)))  # fmt: skip
    return [*pairs, key]


def of_tensors(folder: Path) -> list[Pair]:
    """A checkpoint of 50 MB, saved and loaded."""
    state, plain, checked = {"w": torch.randn(12_500_000)}, folder / "plain.pt", folder / "c.ckpt"
    return [
        Pair("checkpoint of 50 MB, saved", lambda: torch.save(state, plain),
             lambda: save_checked(state, checked)),
        Pair("checkpoint of 50 MB, loaded", lambda: torch.load(plain, weights_only=True),
             lambda: load_checked(checked)),
    ]  # fmt: skip


def least_s(pair: Pair, rounds: int = 7) -> tuple[float, float]:
    """Least time of a unit of the work without and with checks."""
    least = [math.inf, math.inf]
    for _ in range(rounds):
        for number, work in enumerate((pair.plain, pair.checked)):
            start = time.perf_counter()
            work()
            least[number] = min(least[number], (time.perf_counter() - start) / pair.per_call)
    return least[0], least[1]


if __name__ == "__main__":
    main()
