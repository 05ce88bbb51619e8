"""Embeddings of the clips of a manifest: computed in batches, kept in a cache."""

from collections.abc import Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float32
from torch import Tensor

from byola_diff.embeddings.batches import plan_batches
from byola_diff.embeddings.cache import EmbeddingCache, clip_digests
from byola_diff.embeddings.clustered import embed_in_cluster
from byola_diff.embeddings.encoding import Encoding
from byola_diff.embeddings.extracted import ClipEmbeddings, Extracted, Readout
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.open import NamedEncoder
from byola_diff.models.precision import Precision, resolved_precision
from byola_diff.progress import progress
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing


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
    cluster: str | None = None
    """Address of a Ray cluster to embed on instead, as of `byola_diff.cluster.in_cluster`: each
    batch on one core there, whose vectors are to the bit those of one thread of its kind of
    processor here."""
    progress: bool = True
    """Whether to show a bar, on the standard error."""

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.n_workers < 1:
            raise ValueError("batch_size and n_workers must be at least 1")
        if self.cluster is not None and self.device_type != "cpu":
            raise ValueError(f"a cluster embeds on its processors: no device {self.device} there")

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
        ValueError: If there are no clips, or as of `embed_in_cluster`.
        ConnectionError: If there is no such cluster.
    """
    encoding = _encoding(named.encoder, manifest, readout, preprocessing, options)
    extracted = Extracted(len(manifest.clips), readout, tuple(named.encoder.layer_strides))
    _fill(extracted, encoding, options, _store(named, encoding, options))
    return extracted


def count_cached(
    named: NamedEncoder,
    manifest: Manifest,
    readout: Readout,
    preprocessing: Preprocessing,
    options: ExtractionOptions,
) -> int:
    """Clips whose embeddings `embed` would find in the cache, unless they are damaged."""
    encoding = _encoding(named.encoder, manifest, readout, preprocessing, options)
    store = _store(named, encoding, options)
    return store.count(clip_digests(manifest, preprocessing)) if store else 0


def embed_clips(
    encoder: Encoder, manifest: Manifest, options: ExtractionOptions = _USUAL
) -> Float32[Tensor, "clip dim"]:
    """Scene embeddings of whole clips.

    Networks run in float32 whatever the precision of the options, and nothing is kept in a cache:
    an encoder in training has no content to know it by. All else, errors too, is as of `embed`.
    """
    unrounded = replace(options, precision="float32")
    encoding = _encoding(encoder, manifest, "scene", Preprocessing(), unrounded)
    extracted = Extracted(len(manifest.clips), "scene")
    _fill(extracted, encoding, options, None)
    return extracted.scene


def _encoding(
    encoder: Encoder,
    manifest: Manifest,
    readout: Readout,
    preprocessing: Preprocessing,
    options: ExtractionOptions,
) -> Encoding:
    how = (options.resolved_precision, options.device)
    return Encoding(encoder, manifest, readout, preprocessing, *how)


def _store(
    named: NamedEncoder, encoding: Encoding, options: ExtractionOptions
) -> EmbeddingCache | None:
    """The cache, under all that embeddings depend on besides their clips."""
    if options.cache is None:
        return None
    return EmbeddingCache(options.cache, encoding.settings(named.content_hash))


def _fill(
    extracted: Extracted,
    encoding: Encoding,
    options: ExtractionOptions,
    store: EmbeddingCache | None,
) -> None:
    """Take what the store has, compute the rest, and store that."""
    manifest = encoding.manifest
    if not manifest.clips:
        raise ValueError("there are no clips to embed")
    is_asked = store is not None or options.cluster is not None
    digests = clip_digests(manifest, encoding.preprocessing) if is_asked else []
    if store:
        store.load(extracted, digests)
    bar = progress(
        total=len(manifest.clips),
        initial=extracted.n_cached,
        unit="clips",
        disable=not options.progress,
        leave=False,
    )
    computed = _computed(encoding, extracted.missing(), digests, options)
    with bar, store or nullcontext(), closing(computed):
        for rows, embeddings in computed:
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


def _computed(
    encoding: Encoding, rows: Sequence[int], digests: Sequence[bytes], options: ExtractionOptions
) -> Generator[tuple[list[int], ClipEmbeddings]]:
    """Embeddings of the clips with these numbers, in batches, here or on the cluster."""
    if not rows:
        return
    how = (encoding.encoder.sample_rate, encoding.preprocessing)
    sizes = (options.batch_size, options.n_workers)
    batches = plan_batches(encoding.manifest, rows, *how, *sizes)
    if options.cluster is None:
        yield from encoding.embeddings(batches, options.n_workers)
    else:
        yield from embed_in_cluster(encoding, batches, digests, options.cluster)
