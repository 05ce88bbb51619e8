"""Embeddings of the clips of a manifest: computed in batches, kept in a cache."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from tqdm import tqdm

from byola_diff.audio.files import decoder_name
from byola_diff.audio.resample import resampler_name
from byola_diff.embeddings.batches import ClipBatches
from byola_diff.embeddings.cache import EmbeddingCache
from byola_diff.embeddings.clip_digests import clip_digests
from byola_diff.embeddings.extracted import (
    FRAME_VALUES,
    Extracted,
    Readout,
    clip_embeddings,
)
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.fusion import layer_scenes
from byola_diff.encoders.open import NamedEncoder
from byola_diff.encoders.source_code import code_digest
from byola_diff.models.precision import Precision, bfloat16_networks, resolved_precision
from byola_diff.tables.manifest import Clip, Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import UnreadableClipsError, read_clip

__all__ = ["NonFiniteEmbeddingError", "UnreadableClipsError", "embed_clips", "extract"]

Encode = Callable[[Tensor], dict[str, Tensor]]
"""Waveforms [batch, sample] to the values of a readout."""


@runtime_checkable
class SceneEncoder(Protocol):
    """A frozen encoder: one embedding per clip, of any length, whatever else is in the batch."""

    sample_rate: int
    scene_embedding_size: int

    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """Embeddings of waveforms [batch, sample] in [-1, 1] at `sample_rate`."""
        ...


class NonFiniteEmbeddingError(ValueError):
    """An encoder gave NaN or infinite values."""


def extract(
    named: NamedEncoder,
    manifest: Manifest,
    readout: Readout,
    preprocessing: Preprocessing,
    *,
    cache: Path | None = None,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    n_workers: int = 2,
    progress: bool = True,
) -> Extracted:
    """Embeddings on the CPU in float32, in the order of the clips.

    Clips of one length share a batch. The headers of all files whose embeddings are not in the
    cache are read before the first clip is embedded. A run that an error or Ctrl-C stopped goes on
    where it was; one that was killed, after its last part (1024 clips, or 256 MiB).

    Args:
        named: Its encoder is already on `device`.
        manifest: Says where the clips are.
        readout: One embedding per clip; one per clip and layer; or those over time.
        preprocessing: How clips are cut.
        cache: Folder of embeddings, of any encoders and manifests; nothing is kept if None.
        batch_size: Clips per batch, at most.
        device: Where waveforms go.
        precision: Of networks. "auto" is bfloat16 where the hardware computes it, else float32.
            Front ends and results are float32.
        n_workers: Threads that read ahead; the results do not depend on it.
        progress: Whether to show a bar, on the standard error.

    Raises:
        UnreadableClipsError: If clips can't be read, with all of those that can't.
        NonFiniteEmbeddingError: If an embedding has NaN or infinite values.
        ValueError: If there are no clips, or a count is not positive.
    """
    encoder, device = named.encoder, torch.device(device)
    resolved = resolved_precision(precision, device)
    store = None
    if cache is not None:
        store = EmbeddingCache(cache, _settings(named, readout, preprocessing, resolved, device))
    batches = ClipBatches(manifest, encoder.sample_rate, preprocessing, batch_size, n_workers)
    layers = tuple(encoder.layer_strides)
    extracted = Extracted(len(manifest.clips), readout, layers, resolved, device.type)
    with bfloat16_networks(device.type) if resolved == "bfloat16" else nullcontext():
        _fill(extracted, _encoding(encoder, readout), batches, device, store, progress)
    return extracted


def count_cached(
    named: NamedEncoder,
    manifest: Manifest,
    readout: Readout,
    preprocessing: Preprocessing,
    *,
    cache: Path | None,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
) -> int:
    """Clips whose embeddings `extract` would find in the cache, unless they are damaged."""
    if cache is None:
        return 0
    device = torch.device(device)
    resolved = resolved_precision(precision, device)
    settings = _settings(named, readout, preprocessing, resolved, device)
    return EmbeddingCache(cache, settings).count(clip_digests(manifest, preprocessing))


def embed_clips(
    encoder: SceneEncoder,
    manifest: Manifest,
    clips: Sequence[Clip] | None = None,
    *,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    n_workers: int = 2,
    progress: bool = True,
) -> Float32[Tensor, "clip dim"]:
    """Scene embeddings of whole clips, or of a part of them, by networks in float32.

    Nothing is kept in a cache; all else, arguments and errors too, is as of `extract`.
    """
    if clips is not None:
        manifest = replace(manifest, clips=tuple(clips))
    batches = ClipBatches(manifest, encoder.sample_rate, Preprocessing(), batch_size, n_workers)
    extracted = Extracted(len(manifest.clips), "scene")
    _fill(extracted, _scenes_of(encoder), batches, torch.device(device), None, progress)
    return extracted.scene


def _settings(
    named: NamedEncoder,
    readout: Readout,
    preprocessing: Preprocessing,
    precision: str,
    device: torch.device,
) -> dict[str, Any]:
    """All that embeddings depend on besides their clips."""
    return {
        "encoder": named.content_hash,
        "readout": readout,
        "unit_s": preprocessing.unit_s,
        "precision": precision,
        "device": device.type,  # convolutions on GPUs round to TensorFloat-32
        "decoder": decoder_name(),
        "resampler": resampler_name(),
        "code": code_digest((ClipBatches, Preprocessing, read_clip, layer_scenes, Extracted)),
        "torch": ".".join(torch.__version__.split(".")[:2]),
    }


def _scenes_of(encoder: SceneEncoder) -> Encode:
    return lambda waveform: {"scene": encoder.scene(waveform)}


def _encoding(encoder: Encoder, readout: Readout) -> Encode:
    def timestamps(waveform: Tensor) -> dict[str, Tensor]:
        return dict(zip(FRAME_VALUES, encoder.timestamps(waveform), strict=True))

    encodings: dict[Readout, Encode] = {
        "scene": _scenes_of(encoder),
        "layers": lambda waveform: layer_scenes(encoder, waveform),
        "timestamps": timestamps,
    }
    return encodings[readout]


def _fill(
    extracted: Extracted,
    encode: Encode,
    batches: ClipBatches,
    device: torch.device,
    store: EmbeddingCache | None,
    progress: bool,
) -> None:
    """Take what the store has, compute the rest, and store that."""
    manifest = batches.manifest
    if not manifest.clips:
        raise ValueError("there are no clips to embed")
    digests = []
    if store is not None:
        digests = clip_digests(manifest, batches.preprocessing)
        store.load(extracted, digests)
    n_clips = len(manifest.clips)
    bar = tqdm(
        total=n_clips,
        initial=extracted.n_cached,
        unit=" clips",
        disable=not progress,
        leave=False,
    )
    with bar, store or nullcontext():
        for rows, waveform in batches.read(extracted.missing()):
            with torch.no_grad():
                embeddings = clip_embeddings(encode(waveform.to(device)), extracted.readout)
            if bad := embeddings.not_finite():
                raise NonFiniteEmbeddingError(_bad_clips([rows[clip] for clip in bad], manifest))
            extracted.put(rows, embeddings)
            if store is not None:
                store.add([digests[row] for row in rows], embeddings)
            bar.update(len(rows))
    if batches.broken:
        raise UnreadableClipsError(batches.broken, n_clips)


def _bad_clips(rows: Sequence[int], manifest: Manifest) -> str:
    files = ", ".join(str(manifest.path(manifest.clips[row])) for row in rows)
    return (
        f"the encoder gives NaN or infinite values for {files}: check its weights, "
        "or use float32 if this was bfloat16"
    )
