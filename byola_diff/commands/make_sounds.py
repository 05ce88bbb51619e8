"""Render a labelled corpus of procedural sounds: wav files and a manifest.

    python datasets/make_sounds.py data/sounds --clips 3000 --backgrounds 200

Writes OUT/audio/LABEL/*.wav and OUT/manifest.csv, and with --backgrounds also OUT/backgrounds/*.wav
and OUT/backgrounds.csv. Each clip holds one event, half of them over a background. With --mixtures
OUT/mixtures/*.wav, clips as `data.source procedural` makes them in training: packed once by
`prepare_clips.py`, they cost a step next to nothing. The same seed gives the same bytes; a stopped
run continues where it was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from byola_diff.atomic import only_writer
from byola_diff.audio.files import write_wav
from byola_diff.command_line import exit_status, read_options
from byola_diff.option_fields import POSITIONAL
from byola_diff.progress import progress
from byola_diff.randomness import counter_uniform, derive_seed
from byola_diff.sounds import BACKGROUNDS, FOREGROUNDS, render, training_batch
from byola_diff.soundscapes.sources.library import is_complete
from byola_diff.tables.manifest import Clip, write_manifest
from byola_diff.threads import one_thread

_CHUNK = 16
_MIXTURES_CHUNK = 64


PlannedClip = tuple[int, Clip]
"""A row of the manifest, and its number among all clips, which its sound depends on: no two clips
share one, so no two splits share a sound."""


@dataclass(frozen=True, kw_only=True)
class MakeSoundsOptions:
    """Which sounds are rendered."""

    out: Annotated[Path, POSITIONAL, "OUT"]
    """Folder of the corpus."""
    clips: Annotated[int, "N"]
    """Labelled clips; may be 0."""
    seed: Annotated[int, "N"] = 0
    """Seed of all sounds."""
    sample_rate: Annotated[int, "HZ"] = 16_000
    duration_s: Annotated[float, "S"] = 2.0
    test_share: Annotated[float, "SHARE"] = 0.2
    valid_share: Annotated[float, "SHARE"] = 0.1
    backgrounds: Annotated[int, "M"] = 0
    """Long clips."""
    background_duration_s: Annotated[float, "S"] = 12.0
    mixtures: Annotated[int, "K"] = 0
    """Clips to train on, without labels."""
    mixture_duration_s: Annotated[float, "S"] = 0.95

    def __post_init__(self) -> None:
        numbers = self.clips, self.backgrounds, self.mixtures
        if min(numbers) < 0 or max(numbers) == 0:
            raise ValueError(
                "--clips, --backgrounds and --mixtures must be at least 0, and one of them more"
            )
        if min(self.test_share, self.valid_share) < 0 or self.test_share + self.valid_share > 1:
            raise ValueError(
                "--test-share and --valid-share must be shares with a sum of at most 1"
            )
        shortest_s = min(self.duration_s, self.background_duration_s, self.mixture_duration_s)
        if shortest_s * self.sample_rate < 1:
            raise ValueError("clips must be at least one sample long")


def main(arguments: Sequence[str] | None = None, prog: str = "make_sounds.py") -> int:
    """Render what the command line asks for; the exit status is 2 if that can't be written."""
    options = read_options(MakeSoundsOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, partial(run, options), (OSError,))


def run(options: MakeSoundsOptions) -> None:
    """Plan and write all parts."""
    shares = options.test_share, options.valid_share
    with only_writer(options.out), one_thread():  # the same bytes on any machine
        if options.clips:
            clips = plan("audio", tuple(FOREGROUNDS), options.clips, *shares)
            write_corpus(options, "manifest.csv", clips, render_events, options.duration_s)
        if options.backgrounds:
            clips = plan("backgrounds", tuple(BACKGROUNDS), options.backgrounds, *shares)
            length_s = options.background_duration_s
            write_corpus(options, "backgrounds.csv", clips, render_backgrounds, length_s)
        if options.mixtures:
            write_mixtures(options)


def plan(
    folder: str, labels: tuple[str, ...], n_clips: int, test_share: float, valid_share: float
) -> list[PlannedClip]:
    """Clips in the order of their labels, labels balanced within each split."""
    clips = []
    for place, label in enumerate(labels):
        count = n_clips // len(labels) + (place < n_clips % len(labels))
        n_test, n_valid = round(count * test_share), round(count * valid_share)
        for number in range(count):
            held_out = "test" if number < n_test else "valid"
            split = held_out if number < n_test + n_valid else "train"
            name = f"{label}_{number:06d}"
            # Each clip is a sound of its own, and so its own group.
            clip = Clip(f"{folder}/{label}/{name}.wav", (label,), split, group=name)
            clips.append((number * len(labels) + place, clip))
    return clips


def render_events(clips: list[PlannedClip], seed: int, n_samples: int, sample_rate: int) -> Tensor:
    """One event per clip, half of the clips over a background at an SNR of 0 to 20 dB."""
    index = torch.tensor([number for number, _ in clips])
    event_seed, ground_seed = derive_seed(seed, "event"), derive_seed(seed, "ground")
    labels = [clip.labels[0] for _, clip in clips]
    event = render(labels, event_seed, index, n_samples, sample_rate)
    choice = counter_uniform(derive_seed(seed, "family"), index) * len(BACKGROUNDS)
    families = [tuple(BACKGROUNDS)[int(place)] for place in choice.tolist()]
    ground = render(families, ground_seed, index, n_samples, sample_rate)
    snr_db = 20 * counter_uniform(derive_seed(seed, "snr"), index)[:, None]
    present = counter_uniform(derive_seed(seed, "present"), index)[:, None] < 0.5
    gain = present * _active_rms(event) / _active_rms(ground) * 10 ** (-snr_db / 20)
    mixture = event + gain * ground
    return mixture / mixture.abs().amax(1, keepdim=True).clamp(min=1)


def render_backgrounds(
    clips: list[PlannedClip], seed: int, n_samples: int, sample_rate: int
) -> Tensor:
    """One long background per clip, other ones than behind the events."""
    index = torch.tensor([number for number, _ in clips])
    families = [clip.labels[0] for _, clip in clips]
    return render(families, derive_seed(seed, "long"), index, n_samples, sample_rate)


def _active_rms(waveform: Tensor) -> Tensor:
    """Root mean square of the samples within 40 dB of the peak: an event's, not its silence's."""
    active = waveform.abs() >= 0.01 * waveform.abs().amax(1, keepdim=True)
    return (waveform.square() * active).sum(1, keepdim=True).div(active.sum(1, keepdim=True)).sqrt()


def write_corpus(
    options: MakeSoundsOptions,
    manifest: str,
    clips: list[PlannedClip],
    render_clips: Callable[[list[PlannedClip], int, int, int], Tensor],
    duration_s: float,
) -> None:
    """Write the files that are not there yet, then the manifest."""
    out, rate = options.out, options.sample_rate
    n_samples = int(duration_s * rate)
    with progress(total=len(clips), title=manifest, unit="clips") as bar:
        for chunk in _chunks(clips):
            missing = [one for one in chunk if not is_complete(out / one[1].file, n_samples)]
            # The whole chunk, though one file may be missing: the last bit of a sample may depend
            # on how many are rendered together.
            waveforms = render_clips(chunk, options.seed, n_samples, rate) if missing else ()
            for one, waveform in zip(chunk, waveforms, strict=False):
                if one in missing:
                    write_wav(out / one[1].file, waveform.numpy(), rate)
            bar.update(len(chunk))
    write_manifest(out / manifest, [clip for _, clip in clips])
    print(f"{len(clips)} clips: {out / manifest}")


def write_mixtures(options: MakeSoundsOptions) -> None:
    """Write the training clips that are not there yet."""
    folder, numbers = options.out / "mixtures", torch.arange(options.mixtures)
    n_samples = round(options.mixture_duration_s * options.sample_rate)  # as in training
    with progress(total=options.mixtures, title="mixtures", unit="clips") as bar:
        # As in `write_corpus`, a chunk is rendered as a whole.
        for chunk in numbers.split(_MIXTURES_CHUNK):
            paths = [folder / f"mixture_{number:07d}.wav" for number in chunk.tolist()]
            missing = [not is_complete(path, n_samples) for path in paths]
            if any(missing):
                waveforms = training_batch(options.seed, chunk, n_samples, options.sample_rate)
                for path, is_missing, waveform in zip(paths, missing, waveforms, strict=True):
                    if is_missing:
                        write_wav(path, waveform.numpy(), options.sample_rate)
            bar.update(len(chunk))
    print(f"{options.mixtures} mixtures: {folder}")


def _chunks(clips: list[PlannedClip]) -> Iterator[list[PlannedClip]]:
    """Short runs of clips of one label, the same in every run of the script."""
    for _, same_label in groupby(clips, key=lambda one: one[1].labels):
        run = list(same_label)
        yield from (run[start : start + _CHUNK] for start in range(0, len(run), _CHUNK))
