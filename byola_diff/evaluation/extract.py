"""Embeddings of the clips of a manifest: computed in batches, kept in a cache."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from tqdm import tqdm

from byola_diff.audio.files import decoder_name
from byola_diff.audio.resample import resampler_name
from byola_diff.data.manifest import Clip, Manifest
from byola_diff.evaluation.batches import ClipBatches
from byola_diff.evaluation.embedding_cache import EmbeddingCache, clip_digest
from byola_diff.evaluation.encoder import Encoder
from byola_diff.evaluation.encoders import NamedEncoder
from byola_diff.evaluation.extracted import Extracted, Readout, clip_embeddings, value_names
from byola_diff.evaluation.fusion import layer_scenes
from byola_diff.evaluation.preprocessing import Preprocessing
from byola_diff.evaluation.reading import UnreadableClipsError
from byola_diff.models.precision import Precision, bfloat16_networks, takes_bfloat16

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
    cache are read before the first clip is embedded. A stopped run goes on after its last part.

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
    is_bfloat16 = takes_bfloat16(precision, device.type)
    store = None
    if cache is not None:
        store = _store(cache, named, manifest, readout, preprocessing, device.type, is_bfloat16)
    batches = ClipBatches(manifest, encoder.sample_rate, preprocessing, batch_size, n_workers)
    names = value_names(readout, tuple(encoder.layer_strides))
    extracted = Extracted(len(manifest.clips), readout, names)
    with bfloat16_networks(device.type) if is_bfloat16 else nullcontext():
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
    """Clips whose embeddings `extract` would find in the cache. Damaged parts are removed."""
    if cache is None:
        return 0
    device_type = torch.device(device).type
    is_bfloat16 = takes_bfloat16(precision, device_type)
    store = _store(cache, named, manifest, readout, preprocessing, device_type, is_bfloat16)
    names = value_names(readout, tuple(named.encoder.layer_strides))
    extracted = Extracted(len(manifest.clips), readout, names)
    store.load(extracted, _digests(manifest, preprocessing))
    return extracted.n_cached


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
    """Scene embeddings of whole clips in float32, with no cache; else as `extract`.

    Args:
        encoder: Already on `device`.
        manifest: Says where the clips are.
        clips: A part of its clips; all if None.
        batch_size: Clips per batch, at most.
        device: Where waveforms go.
        n_workers: Threads that read ahead; the results do not depend on it.
        progress: Whether to show a bar, on the standard error.

    Raises:
        UnreadableClipsError: If clips can't be read, with all of those that can't.
        NonFiniteEmbeddingError: If an embedding has NaN or infinite values.
        ValueError: If there are no clips, or a count is not positive.
    """
    if clips is not None:
        manifest = replace(manifest, clips=tuple(clips))
    batches = ClipBatches(manifest, encoder.sample_rate, Preprocessing(), batch_size, n_workers)
    extracted = Extracted(len(manifest.clips), "scene", value_names("scene", ()))

    def encode(waveform: Tensor) -> dict[str, Tensor]:
        return {"scene": encoder.scene(waveform)}

    _fill(extracted, encode, batches, torch.device(device), None, progress)
    return extracted.scene


def _store(
    cache: Path,
    named: NamedEncoder,
    manifest: Manifest,
    readout: Readout,
    preprocessing: Preprocessing,
    device_type: str,
    is_bfloat16: bool,
) -> EmbeddingCache:
    """Where embeddings of this kind are kept: under all that they depend on."""
    settings = {
        "encoder": named.content_hash,
        "readout": readout,
        "unit_s": preprocessing.unit_s,
        "seed": preprocessing.seed,
        "audio": str(manifest.root.resolve()),
        "precision": "bfloat16" if is_bfloat16 else "float32",
        "device": device_type,  # convolutions on GPUs round to TensorFloat-32
        "decoder": decoder_name(),
        "resampler": resampler_name(),
        "byola_diff": version("byola-diff"),
        "torch": ".".join(torch.__version__.split(".")[:2]),
    }
    return EmbeddingCache(cache, settings)


def _digests(manifest: Manifest, preprocessing: Preprocessing) -> list[bytes]:
    return [clip_digest(manifest, clip, preprocessing) for clip in manifest.clips]


def _encoding(encoder: Encoder, readout: Readout) -> Encode:
    def timestamps(waveform: Tensor) -> dict[str, Tensor]:
        return dict(zip(value_names("timestamps", ()), encoder.timestamps(waveform), strict=True))

    encodings: dict[Readout, Encode] = {
        "scene": lambda waveform: {"scene": encoder.scene(waveform)},
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
        digests = _digests(manifest, batches.preprocessing)
        store.load(extracted, digests)
    missing = extracted.missing()
    n_clips, n_cached = len(manifest.clips), extracted.n_cached
    with tqdm(
        total=n_clips, initial=n_cached, unit=" clips", disable=not progress, leave=False
    ) as bar:
        for rows, waveform in batches.read(missing):
            with torch.no_grad():
                embeddings = clip_embeddings(encode(waveform.to(device)), extracted.readout)
            if bad := embeddings.not_finite():
                raise NonFiniteEmbeddingError(_bad_clips([rows[clip] for clip in bad], manifest))
            extracted.put(rows, embeddings)
            if store is not None:
                store.add([digests[row] for row in rows], embeddings)
            bar.update(len(rows))
    if store is not None:
        store.flush()
    if batches.broken:
        raise UnreadableClipsError(batches.broken, n_clips)


def _bad_clips(rows: Sequence[int], manifest: Manifest) -> str:
    files = ", ".join(str(manifest.path(manifest.clips[row])) for row in rows)
    return (
        f"the encoder gives NaN or infinite values for {files}: check its weights, "
        "or use float32 if this was bfloat16"
    )
