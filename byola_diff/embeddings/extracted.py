"""Embeddings of all clips of a manifest, in its order; filled as they are computed or read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

Readout = Literal["scene", "layers", "timestamps"]

FRAME_VALUES = ("embeddings", "centers_ms")
"""Names of the values of timestamps."""


@dataclass(frozen=True)
class ClipEmbeddings:
    """Embeddings of some clips, those of one clip after the other."""

    values: dict[str, Float32[Tensor, "row *dim"]]
    """By name: "scene"; the layers; or "embeddings" and "centers_ms"."""
    counts: Int64[Tensor, " clip"]
    """Rows of each clip: 1, or its number of frames."""

    def take(self, clips: Sequence[int]) -> "ClipEmbeddings":
        """Those of the clips at the given places."""
        if list(clips) == list(range(len(self.counts))):
            return self
        sizes = self.counts.tolist()
        taken = {}
        for name, value in self.values.items():
            rows = value.split(sizes)
            taken[name] = torch.cat([rows[clip] for clip in clips])
        return ClipEmbeddings(taken, self.counts[list(clips)])

    def not_finite(self) -> list[int]:
        """Places of clips with a NaN or infinite value."""
        clip_of_row = torch.repeat_interleave(self.counts)
        bad = [
            clip_of_row[~value.reshape(len(value), -1).isfinite().all(1)]
            for value in self.values.values()
        ]
        return torch.cat(bad).unique().tolist()


class Extracted:
    """One readout of one encoder; only that can be asked for."""

    def __init__(self, n_clips: int, readout: Readout, layers: Sequence[str] = ()) -> None:
        """Make room for the embeddings, which `put` fills in.

        `layers` are the names of all in the order of the encoder, for the readout "layers".
        """
        self.readout: Readout = readout
        self._layers = tuple(layers)
        self.n_cached = 0
        """How many clips came from a cache."""
        self._is_there = torch.zeros(n_clips, dtype=torch.bool)
        self._pooled: dict[str, Tensor] = {}
        self._timestamps: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def scene(self) -> Float32[Tensor, "clip dim"]:
        """Scene embeddings."""
        return self._pooled["scene"]

    @property
    def layers(self) -> dict[str, Float32[Tensor, "clip dim"]]:
        """Embeddings by layer, in the order of the encoder."""
        return {name: self._pooled[name] for name in self._layers}

    def pop_timestamps(
        self,
    ) -> Iterator[tuple[Float32[Tensor, "frame dim"], Float32[Tensor, " frame"]]]:
        """Frame embeddings of each clip, and the centre of each frame in ms.

        Let go one by one, as those of a whole task can fill the memory.
        """
        for row in range(len(self._is_there)):
            self._is_there[row] = False
            yield self._timestamps.pop(row)

    def missing(self) -> list[int]:
        """Clips that have no embedding yet."""
        return (~self._is_there).nonzero().flatten().tolist()

    def put(self, clips: Sequence[int], embeddings: ClipEmbeddings) -> None:
        """Take over the embeddings of the given clips."""
        index = torch.tensor(clips)
        if self.readout == "timestamps":
            parts = (
                embeddings.values[name].split(embeddings.counts.tolist()) for name in FRAME_VALUES
            )
            self._timestamps.update(zip(clips, zip(*parts, strict=True), strict=True))
        else:
            for name, values in embeddings.values.items():
                if name not in self._pooled:  # filled in place: joining parts would need it twice
                    self._pooled[name] = torch.empty(len(self._is_there), *values.shape[1:])
                self._pooled[name][index] = values
        self._is_there[index] = True


def clip_embeddings(
    values: dict[str, Float[Tensor, "clip *rest"]], readout: Readout
) -> ClipEmbeddings:
    """What an encoder gave for a batch, on the CPU in float32."""
    # Copies: a module may give its next batch in the memory of this one.
    values = {name: v.to("cpu", torch.float32, copy=True) for name, v in values.items()}
    n_clips, n_frames = next(iter(values.values())).shape[0], 1
    if readout == "timestamps":
        n_frames = values["centers_ms"].shape[1]
        values = {name: value.flatten(0, 1) for name, value in values.items()}
    return ClipEmbeddings(values, torch.full((n_clips,), n_frames))
