"""Clips of a manifest to embeddings, batch by batch: here, or wherever it is sent."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from byola_diff.audio.files import decoder_name
from byola_diff.audio.resample import resampler_name
from byola_diff.embeddings.batches import read_batches
from byola_diff.embeddings.extracted import (
    FRAME_VALUES,
    ClipEmbeddings,
    Extracted,
    Readout,
    clip_embeddings,
)
from byola_diff.encoders.code_digest import code_digest
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.fusion import layer_scenes
from byola_diff.models.precision import bfloat16_networks
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import read_clip


@dataclass(frozen=True)
class Encoding:
    """An encoder, the clips, and how the one embeds the other."""

    encoder: Encoder
    manifest: Manifest
    readout: Readout
    preprocessing: Preprocessing
    precision: Literal["float32", "bfloat16"]
    device: torch.device | str
    """Where the encoder is."""

    def embeddings(
        self, batches: Iterable[Sequence[int]], n_workers: int
    ) -> Iterator[tuple[list[int], ClipEmbeddings]]:
        """Embeddings of the clips of each batch, by their numbers, and which clips they are of.

        Raises:
            UnreadableClipsError: If files can't be decoded, once all others are embedded.
        """
        how = (self.encoder.sample_rate, self.preprocessing, n_workers)
        for rows, waveform in read_batches(self.manifest, batches, *how):
            # Nothing is held but what is given: the frames of a long clip may be 400 MB.
            yield rows, clip_embeddings(self._encoded(waveform.to(self.device)), self.readout)

    def settings(self, content_hash: str | None) -> dict[str, Any]:
        """Plain values that tell these embeddings from others, besides their clips.

        Those of this machine: a library of another version may give other embeddings. The hash is
        that of the encoder, None where it is not known.
        """
        return {
            "encoder": content_hash,
            "readout": self.readout,
            "unit_s": self.preprocessing.unit_s,
            "precision": self.precision,
            # Convolutions on GPUs round to TensorFloat-32.
            "device": torch.device(self.device).type,
            "decoder": decoder_name(),
            "resampler": resampler_name(),
            "code": code_digest((read_batches, Preprocessing, read_clip, layer_scenes, Extracted)),
            "torch": ".".join(torch.__version__.split(".")[:2]),
        }

    @torch.no_grad()
    def _encoded(self, waveform: Tensor) -> dict[str, Tensor]:
        """Values of the readout of waveforms [batch, sample], by name."""
        with bfloat16_networks() if self.precision == "bfloat16" else nullcontext():
            if self.readout == "scene":
                return {"scene": self.encoder.scene(waveform)}
            if self.readout == "layers":
                return layer_scenes(self.encoder, waveform)
            return dict(zip(FRAME_VALUES, self.encoder.timestamps(waveform), strict=True))
