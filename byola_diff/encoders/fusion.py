"""Layers of one encoder as embeddings: each alone, or several fused into one.

Source:
    Niizumi et al., 2022, "Composing general audio representation by fusing multilayer features of a
    pre-trained model", Eqs. 1 to 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.waveform import checked_waveform
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.frame_clock import has_time_axis, shortest_clip, timed_frames
from byola_diff.models.frozen import EvalModule
from byola_diff.models.pooling import Pooling, pool


def layer_frames(layer: Tensor, pool_frames: int = 1) -> Float[Tensor, "batch frame dim"]:
    """One layer as frame vectors (Eq. 1): the maximum over `pool_frames` frames, then flattened.

    Frames that do not fill a last group are dropped. Channel is the slow part of the vector and mel
    the fast one.

    Args:
        layer: [batch, channel, mel, frame] or [batch, frame, dim].
        pool_frames: How many frames become one; 1 leaves them as they are.

    Raises:
        ValueError: If there are fewer frames than `pool_frames`.
    """
    frames = rearrange(layer, "b c f t -> b t (c f)") if layer.ndim == 4 else layer
    frames = frames.float()  # of bfloat16 layers the mean would be rounded
    if pool_frames == 1:
        return frames
    n_frames = frames.shape[1] // pool_frames
    if n_frames == 0:
        raise ValueError(f"a layer of {frames.shape[1]} frames cannot be pooled by {pool_frames}")
    whole = frames[:, : n_frames * pool_frames]
    return rearrange(whole, "b (t p) d -> b t p d", p=pool_frames).amax(dim=2)


def fuse(
    layers: Mapping[str, Tensor], layer_strides: Mapping[str, int], names: Sequence[str]
) -> Float[Tensor, "batch frame dim"]:
    """The layers `names`, one after the other in each frame vector (Eq. 2).

    Layers are brought to the coarsest clock of the whole encoder, also if no chosen layer has it:
    what a layer gives does not depend on those it is fused with.

    Raises:
        ValueError: If frame counts differ by more than one, or strides are no multiples.
    """
    frames = [layer_frames(layers[name], _pool_frames(layer_strides, name)) for name in names]
    counts = [len(layer[0]) for layer in frames]
    if max(counts) - min(counts) > 1:
        raise ValueError(
            f"layers {', '.join(names)} have {', '.join(map(str, counts))} frames: layer_strides "
            "of the encoder do not fit its layers"
        )
    return torch.cat([layer[:, : min(counts)] for layer in frames], dim=-1)


def layer_scenes(
    encoder: Encoder, waveform: Tensor, pooling: Pooling | None = None
) -> dict[str, Float[Tensor, "batch dim"]]:
    """One embedding per clip from each layer (Eqs. 1 and 3), in the order of the encoder.

    Args:
        encoder: Whose layers are taken.
        waveform: [batch, sample].
        pooling: Of frames; as in the paper if None: "mean+max", and none without a time axis.

    Raises:
        TypeError: If the samples are not floating-point.
        ValueError: If the shape is not `[batch, sample]`, or a sample is NaN or infinite.
    """
    pooling = _checked_pooling(encoder, pooling)
    layers = encoder.layers(checked_waveform(waveform))
    strides = encoder.layer_strides
    return {name: pool(fuse(layers, strides, [name]), pooling).float() for name in strides}


class FusedEncoder(EvalModule):
    """Chosen layers of an encoder as an encoder of its own, on its coarsest clock."""

    def __init__(
        self, encoder: Encoder, names: Sequence[str], pooling: Pooling | None = None
    ) -> None:
        """Fuse the layers `names`, in that order.

        Args:
            encoder: Not changed.
            names: Layers, as in `encoder.layer_strides`.
            pooling: Of fused frames to the scene embedding (Eq. 3); as in the paper if None:
                "mean+max", and "first" where layers have no time axis, such as those of AST.

        Raises:
            ValueError: If a layer does not exist, is named twice, or none is named; if the pooling
                does not fit the layers.
        """
        super().__init__()
        _check_names(encoder, names)
        self.encoder, self.names = encoder, tuple(names)
        self.pooling: Pooling = _checked_pooling(encoder, pooling)
        self.sample_rate = encoder.sample_rate
        self.layer_strides: Mapping[str, int] = {"fusion": 1}
        width = self._frames(shortest_clip(encoder)).shape[-1]
        self.scene_embedding_size = self.timestamp_embedding_size = width
        self.eval()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the encoder within."""
        return {"layers": list(self.names), "pooling": self.pooling}

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip, pooled over its whole fused frames."""
        return pool(self._frames(checked_waveform(waveform)), self.pooling)

    @torch.no_grad()
    def timestamps(
        self, waveform: Tensor
    ) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
        """Fused frames, and the centre in ms of the stretch each covers.

        There are as many as timestamp embeddings of the encoder, or a multiple where layers are
        finer; zeros complete the last ones. What has no time axis is the same at all times.
        """
        waveform = checked_waveform(waveform)
        if self.pooling == "first":
            centers_ms = self.encoder.timestamps(waveform)[1]
            return self._frames(waveform).expand(-1, centers_ms.shape[1], -1), centers_ms
        return timed_frames(self.encoder, waveform, self._frames)

    @torch.no_grad()
    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """The fused frames of the clip, under the one name "fusion"."""
        return {"fusion": self._frames(checked_waveform(waveform))}

    def _frames(self, waveform: Tensor) -> Float[Tensor, "batch frame dim"]:
        layers = self.encoder.layers(waveform)
        return fuse(layers, self.encoder.layer_strides, self.names).float()


def _pool_frames(layer_strides: Mapping[str, int], name: str) -> int:
    coarsest = max(layer_strides.values())
    if coarsest % layer_strides[name]:
        raise ValueError(
            f"layer {name} has a stride of {layer_strides[name]}, which does not divide the "
            f"coarsest one, {coarsest}"
        )
    return coarsest // layer_strides[name]


def _checked_pooling(encoder: Encoder, pooling: Pooling | None) -> Pooling:
    """What is asked for, or the paper's choice; refused if it does not fit the layers."""
    has_time = has_time_axis(encoder)
    if pooling is None:
        return "mean+max" if has_time else "first"
    if has_time == (pooling == "first"):
        axis = "a time axis" if has_time else "no time axis"
        raise ValueError(f"pooling {pooling!r} does not fit: layers of this encoder have {axis}")
    return pooling


def _check_names(encoder: Encoder, names: Sequence[str]) -> None:
    valid = ", ".join(encoder.layer_strides)
    if unknown := [name for name in names if name not in encoder.layer_strides]:
        raise ValueError(f"no layer {', '.join(unknown)}: the encoder has {valid}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"name layers to fuse, each once, of {valid}; not {list(names)}")
