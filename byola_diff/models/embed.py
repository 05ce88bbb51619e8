"""One embedding for each recording, in whatever form recordings come."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from byola_diff.audio.recordings import (
    Source,
    check_files,
    checked_rate,
    read_mono,
    say_once,
    separate,
)

_BATCH_CLIPS = 32
_HELD_S = 600
"""Audio read before it is encoded, unless one recording is longer: bounds the memory."""


@runtime_checkable
class SceneEncoder(Protocol):
    """What gives an embedding for each clip of a waveform [batch, sample] at its sample rate."""

    sample_rate: int
    """Hz."""

    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip."""
        ...


def embed(
    encoder: SceneEncoder,
    recordings: Any,
    sample_rate: int | float | None = None,
    layout: str | None = None,
) -> Float32[Tensor, "*recording dim"]:
    """Scene embeddings of recordings, in their order, on the device of the encoder.

    One recording that is not in a list gives [dim], all else [recording, dim]. Each is what the
    encoder's `scene` gives it alone: recordings of different lengths are not padded.

    Args:
        encoder: Any encoder of this package.
        recordings: Of `audio.recordings.separate`, which says what arrays may be: the path of a
            file, or of a folder, whose files come in the order of `byola_diff.find_audio`; samples
            in an array or tensor; or a list of files and arrays. They are mixed to mono, and
            resampled to the rate of the encoder.
        sample_rate: Of arrays, in Hz; if None that of the encoder, which is said once in a process.
        layout: Which axes arrays of several axes have, as in "channel sample".

    Raises:
        TypeError, ValueError: As of `separate` and `read_mono`; and if a rate or layout is given
            for files alone, which have their own.
        AudioFileError: If files can't be read; those that can't be opened are told together, before
            any is encoded.
    """
    sources, is_alone = separate(recordings, layout)
    rate = encoder.sample_rate if sample_rate is None else checked_rate(sample_rate)
    has_arrays = not all(isinstance(source, Path) for source in sources)
    if has_arrays and sample_rate is None:
        say_once(f"no sample_rate is given: arrays are taken to be at {rate} Hz, as the encoder is")
    if not has_arrays and (sample_rate, layout) != (None, None):
        raise ValueError("files have a sample rate and channels of their own: give neither")
    check_files([source for source in sources if isinstance(source, Path)])
    embeddings = None
    for waveforms in _portions(sources, rate, encoder.sample_rate, is_alone):
        for numbers, batch in same_length_batches(waveforms):
            scenes = encoder.scene(batch.to(_device(encoder))).float()
            if embeddings is None:
                embeddings = scenes.new_empty(len(sources), scenes.shape[1])
            embeddings[numbers] = scenes
    assert embeddings is not None  # there is at least one recording
    return embeddings[0] if is_alone else embeddings


def _portions(
    sources: Sequence[Source], array_rate: int, to_rate: int, is_alone: bool
) -> Iterator[Mapping[int, Float32[Tensor, " _"]]]:
    """Waveforms by the number of their recording, in portions that fit the memory."""
    portion: dict[int, Tensor] = {}
    held = 0
    for number, source in enumerate(sources):
        name = "the recording" if is_alone else f"recordings[{number}]"
        waveform = torch.from_numpy(read_mono(source, array_rate, to_rate, name))
        portion[number] = waveform
        held += len(waveform)
        if held >= _HELD_S * to_rate:
            yield portion
            portion, held = {}, 0
    if portion:
        yield portion


def same_length_batches(
    waveforms: Mapping[int, Float32[Tensor, " _"]],
) -> Iterator[tuple[list[int], Float32[Tensor, "clip sample"]]]:
    """At most 32 waveforms of one length together, and their numbers; padding would change them."""
    of_length: dict[int, list[int]] = defaultdict(list)
    for number, waveform in waveforms.items():
        of_length[len(waveform)].append(number)
    for same in of_length.values():
        for start in range(0, len(same), _BATCH_CLIPS):
            numbers = same[start : start + _BATCH_CLIPS]
            yield numbers, torch.stack([waveforms[number] for number in numbers])


def _device(encoder: SceneEncoder) -> torch.device:
    """Where the weights of an encoder are; the CPU if it has none."""
    module = encoder if isinstance(encoder, nn.Module) else nn.Module()
    return next(chain(module.parameters(), module.buffers()), torch.empty(0)).device
