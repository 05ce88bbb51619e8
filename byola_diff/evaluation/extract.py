"""Embeddings of the clips of a manifest."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from tqdm import tqdm

from byola_diff.audio.files import AudioFileError, open_audio, read_audio
from byola_diff.audio.resample import resample, resampled_length
from byola_diff.data.manifest import Clip, Manifest

_MAX_LISTED = 50


@runtime_checkable
class SceneEncoder(Protocol):
    """A frozen encoder: one embedding per clip, of any length, whatever else is in the batch."""

    sample_rate: int
    scene_embedding_size: int

    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """Embeddings of waveforms [batch, sample] in [-1, 1] at `sample_rate`."""
        ...


class UnreadableClipsError(ValueError):
    """Clips of a manifest that can't be read: scores over the others would be of another task."""

    def __init__(self, errors: Sequence[AudioFileError], n_clips: int) -> None:
        listed = [f"  {error}" for error in errors[:_MAX_LISTED]]
        if len(errors) > _MAX_LISTED:
            listed.append(f"  and {len(errors) - _MAX_LISTED} more")
        head = f"{len(errors)} of {n_clips} clips can't be read:"
        super().__init__("\n".join([head, *listed]))


def embed_clips(
    encoder: SceneEncoder,
    manifest: Manifest,
    clips: Sequence[Clip] | None = None,
    *,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Float32[Tensor, "clip dim"]:
    """Scene embeddings on the CPU, in the order of the clips, which is not that of the work.

    Clips of one length share a batch. The headers of all files are read before the first clip is
    embedded.

    Args:
        encoder: Already on `device`.
        manifest: Says where the clips are.
        clips: A part of its clips; all if None.
        batch_size: Clips per batch, at most.
        device: Where waveforms go.
        progress: Whether to show a bar, on the standard error.

    Raises:
        UnreadableClipsError: If a clip can't be read, with all of those that can't.
        ValueError: If there are no clips.
    """
    clips = manifest.clips if clips is None else clips
    if not clips:
        raise ValueError("there are no clips to embed")
    embeddings = torch.empty(len(clips), encoder.scene_embedding_size)
    broken: list[AudioFileError] = []
    batches = _batches(_lengths(manifest, clips, encoder.sample_rate), batch_size)
    with tqdm(total=len(clips), unit=" clips", disable=not progress, leave=False) as bar:
        for batch in batches:
            waveforms = {}
            for index in batch:
                try:
                    waveforms[index] = read_clip(manifest, clips[index], encoder.sample_rate)
                except AudioFileError as error:
                    broken.append(error)
            for same in _by_length(waveforms):
                stacked = torch.stack([waveforms[index] for index in same])
                embeddings[same] = encoder.scene(stacked.to(device)).float().cpu()
            bar.update(len(batch))
    if broken:
        raise UnreadableClipsError(broken, len(clips))
    return embeddings


def read_clip(manifest: Manifest, clip: Clip, sample_rate: int) -> Float32[Tensor, " sample"]:
    """Mono waveform of a clip at `sample_rate`; one zero where it is too short for a sample.

    Raises:
        AudioFileError: If the file can't be read.
    """
    waveform, rate = read_audio(manifest.path(clip), clip.start_s or 0.0, clip.duration_s)
    resampled = resample(waveform, rate, sample_rate)
    return torch.from_numpy(resampled) if len(resampled) else torch.zeros(1)


def _lengths(manifest: Manifest, clips: Sequence[Clip], sample_rate: int) -> list[int]:
    """Samples of each clip at `sample_rate`, from the headers of the files."""
    lengths, broken = [], []
    for clip in clips:
        start_s = clip.start_s or 0.0
        try:
            with open_audio(manifest.path(clip)) as reader:
                left = reader.n_samples - round(start_s * reader.sample_rate)
                if left < 1:
                    raise AudioFileError(manifest.path(clip), f"ends before {start_s} s")
                if clip.duration_s is not None:
                    left = min(left, max(1, round(clip.duration_s * reader.sample_rate)))
                lengths.append(resampled_length(left, reader.sample_rate, sample_rate))
        except AudioFileError as error:
            broken.append(error)
    if broken:
        raise UnreadableClipsError(broken, len(clips))
    return lengths


def _batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Indices of clips of one length, up to `batch_size` together."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive, not {batch_size}")
    return [
        same[start : start + batch_size]
        for same in _grouped(enumerate(lengths))
        for start in range(0, len(same), batch_size)
    ]


def _by_length(waveforms: dict[int, Tensor]) -> list[list[int]]:
    # The header of an MP3 only estimates the length: what was decoded decides.
    return _grouped((index, len(waveform)) for index, waveform in waveforms.items())


def _grouped(lengths: Iterable[tuple[int, int]]) -> list[list[int]]:
    groups = defaultdict(list)
    for index, length in lengths:
        groups[length].append(index)
    return list(groups.values())
