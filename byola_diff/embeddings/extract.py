"""Embeddings of the clips of a manifest: computed in batches, kept in a cache."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.audio.files import decoder_name
from byola_diff.audio.resample import resampler_name
from byola_diff.embeddings.batches import read_batches
from byola_diff.embeddings.cache import EmbeddingCache, clip_digests
from byola_diff.embeddings.extracted import FRAME_VALUES, Extracted, Readout, clip_embeddings
from byola_diff.encoders.code_digest import code_digest
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.fusion import layer_scenes
from byola_diff.encoders.open import NamedEncoder
from byola_diff.models.precision import Precision, bfloat16_networks, resolved_precision
from byola_diff.progress import progress
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import read_clip


class NonFiniteEmbeddingError(ValueError):
    """An encoder gave NaN or infinite values."""


@dataclass(frozen=True, kw_only=True)
class ExtractionOptions:
    """How embeddings are computed and kept, whatever the encoder and the clips."""

    cache: Path | None = None
    """Folder of embeddings, of any encoders and manifests; nothing is kept if None."""
    batch_size: int = 32
    """Clips per batch, at most."""
    device: torch.device | str = "cpu"
    """Where waveforms go."""
    precision: Precision = "auto"
    """What networks run in; "auto" is bfloat16 where the hardware computes it, else float32. Front
    ends and results are float32."""
    n_workers: int = 2
    """Threads that read ahead; the results do not depend on it."""
    progress: bool = True
    """Whether to show a bar, on the standard error."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.n_workers < 1:
            raise ValueError("batch_size and n_workers must be at least 1")

    @property
    def resolved_precision(self) -> Literal["float32", "bfloat16"]:
        """What "auto" is on the device."""
        return resolved_precision(self.precision, self.device)

    @property
    def device_type(self) -> str:
        """Such as "cuda"."""
        return torch.device(self.device).type


_USUAL = ExtractionOptions()


def embed(
    named: NamedEncoder,
    manifest: Manifest,
    readout: Readout,
    preprocessing: Preprocessing,
    options: ExtractionOptions = _USUAL,
) -> Extracted:
    """Embeddings on the CPU in float32, in the order of the clips.

    Clips of one length share a batch. The headers of all files whose embeddings are not in the
    cache are read before the first clip is embedded. A run that an error or Ctrl-C stopped goes on
    where it was; one that was killed, after its last part (1024 clips, or 256 MiB).

    The encoder is already on the device of the options. The readout is one embedding per clip, one
    per clip and layer, or those over time.

    Raises:
        UnreadableClipsError: If clips can't be read, with all of those that can't.
        NonFiniteEmbeddingError: If an embedding has NaN or infinite values.
        ValueError: If there are no clips.
    """
    encoder, precision = named.encoder, options.resolved_precision
    store = _store(named, readout, preprocessing, options)
    extracted = Extracted(len(manifest.clips), readout, tuple(encoder.layer_strides))
    with bfloat16_networks(options.device_type) if precision == "bfloat16" else nullcontext():
        _fill(extracted, encoder, manifest, preprocessing, options, store)
    return extracted


def count_cached(
    named: NamedEncoder,
    manifest: Manifest,
    readout: Readout,
    preprocessing: Preprocessing,
    options: ExtractionOptions,
) -> int:
    """Clips whose embeddings `embed` would find in the cache, unless they are damaged."""
    store = _store(named, readout, preprocessing, options)
    return store.count(clip_digests(manifest, preprocessing)) if store else 0


def embed_clips(
    encoder: Encoder, manifest: Manifest, options: ExtractionOptions = _USUAL
) -> Float32[Tensor, "clip dim"]:
    """Scene embeddings of whole clips.

    Networks run in float32 whatever the precision of the options, and nothing is kept in a cache:
    an encoder in training has no content to know it by. All else, errors too, is as of `embed`.
    """
    extracted = Extracted(len(manifest.clips), "scene")
    _fill(extracted, encoder, manifest, Preprocessing(), options, None)
    return extracted.scene


def _store(
    named: NamedEncoder, readout: Readout, preprocessing: Preprocessing, options: ExtractionOptions
) -> EmbeddingCache | None:
    """The cache, under all that embeddings depend on besides their clips."""
    if options.cache is None:
        return None
    settings = {
        "encoder": named.content_hash,
        "readout": readout,
        "unit_s": preprocessing.unit_s,
        "precision": options.resolved_precision,
        "device": options.device_type,  # convolutions on GPUs round to TensorFloat-32
        "decoder": decoder_name(),
        "resampler": resampler_name(),
        "code": code_digest((read_batches, Preprocessing, read_clip, layer_scenes, Extracted)),
        "torch": ".".join(torch.__version__.split(".")[:2]),
    }
    return EmbeddingCache(options.cache, settings)


def _encode(encoder: Encoder, readout: Readout, waveform: Tensor) -> dict[str, Tensor]:
    """Values of a readout of waveforms [batch, sample], by name."""
    if readout == "scene":
        return {"scene": encoder.scene(waveform)}
    if readout == "layers":
        return layer_scenes(encoder, waveform)
    return dict(zip(FRAME_VALUES, encoder.timestamps(waveform), strict=True))


def _fill(
    extracted: Extracted,
    encoder: Encoder,
    manifest: Manifest,
    preprocessing: Preprocessing,
    options: ExtractionOptions,
    store: EmbeddingCache | None,
) -> None:
    """Take what the store has, compute the rest, and store that."""
    n_clips, readout = len(manifest.clips), extracted.readout
    if not n_clips:
        raise ValueError("there are no clips to embed")
    digests = clip_digests(manifest, preprocessing) if store else []
    if store:
        store.load(extracted, digests)
    missing, how = extracted.missing(), (options.batch_size, options.n_workers)
    batches = read_batches(manifest, missing, encoder.sample_rate, preprocessing, *how)
    bar = progress(
        total=n_clips,
        initial=extracted.n_cached,
        unit="clips",
        disable=not options.progress,
        leave=False,
    )
    with bar, store or nullcontext():
        for rows, waveform in batches:
            with torch.no_grad():
                values = _encode(encoder, readout, waveform.to(options.device))
            embeddings = clip_embeddings(values, readout)
            if bad := embeddings.not_finite():
                files = [str(manifest.path(manifest.clips[rows[clip]])) for clip in bad]
                raise NonFiniteEmbeddingError(
                    f"the encoder gives NaN or infinite values for {', '.join(files)}: check its "
                    "weights, or use float32 if this was bfloat16"
                )
            extracted.put(rows, embeddings)
            if store:
                store.add([digests[row] for row in rows], embeddings)
            bar.update(len(rows))
