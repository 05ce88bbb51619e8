"""Layers of one encoder as embeddings: each alone, or several fused into one.

Source:
    Niizumi et al., 2022, "Composing general audio representation by fusing multilayer features of a
    pre-trained model", Eqs. 1 to 3.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.waveform import checked_waveform
from byola_diff.encoders.contract import Encoder
from byola_diff.models.frozen import EvalModule, FrozenEncoder, Timestamps
from byola_diff.models.pooling import Pooling, pool
from byola_diff.randomness import torch_generator


def layer_frames(layer: Tensor, pool_frames: int = 1) -> Float[Tensor, "batch frame dim"]:
    """A layer [batch, channel, mel, frame] or [batch, frame, dim] as frame vectors (Eq. 1).

    Each is the maximum over `pool_frames` frames; those that do not fill a last group are dropped.
    Channel is the slow part of the vector and mel the fast one.
    """
    frames = rearrange(layer, "b c f t -> b t (c f)") if layer.ndim == 4 else layer
    frames = frames.float()  # of bfloat16 layers the mean would be rounded
    if frames.shape[1] < pool_frames:
        raise ValueError(f"a layer of {frames.shape[1]} frames cannot be pooled by {pool_frames}")
    return frames.unfold(1, pool_frames, pool_frames).amax(dim=-1)


def fuse(
    layers: Mapping[str, Tensor], layer_strides: Mapping[str, int], names: Sequence[str]
) -> Float[Tensor, "batch frame dim"]:
    """The layers `names`, one after the other in each frame vector (Eq. 2).

    Layers are brought to the coarsest clock of the whole encoder, also if no chosen layer has it:
    what a layer gives does not depend on those it is fused with.

    Raises:
        ValueError: If frame counts differ by more than one, or strides are no multiples.
    """
    coarsest = max(layer_strides.values())
    for name in names:
        if coarsest % layer_strides[name]:
            raise ValueError(
                f"layer {name} has a stride of {layer_strides[name]}, which does not divide the "
                f"coarsest one, {coarsest}"
            )
    frames = [layer_frames(layers[name], coarsest // layer_strides[name]) for name in names]
    counts = [len(layer[0]) for layer in frames]
    if max(counts) - min(counts) > 1:
        raise ValueError(
            f"layers {', '.join(names)} have {', '.join(map(str, counts))} frames: layer_strides "
            "of the encoder do not fit its layers"
        )
    return torch.cat([layer[:, : min(counts)] for layer in frames], dim=-1)


def layer_scenes(encoder: Encoder, waveform: Tensor) -> dict[str, Float[Tensor, "batch dim"]]:
    """One embedding per clip from each layer (Eqs. 1 and 3), in the order of the encoder.

    Frames are pooled by "mean+max", as in the paper, and not where layers have no time axis.
    """
    pooling = _checked_pooling(encoder, None)
    layers = encoder.layers(checked_waveform(waveform))
    strides = encoder.layer_strides
    return {name: pool(fuse(layers, strides, [name]), pooling).float() for name in strides}


class FusedEncoder(EvalModule):
    """Chosen layers of an encoder as an encoder of its own, on its coarsest clock."""

    def __init__(
        self, encoder: Encoder, names: Sequence[str], pooling: Pooling | None = None
    ) -> None:
        """Fuse the layers `names`, in that order.

        Fused frames are pooled to the scene embedding (Eq. 3) as in the paper if `pooling` is None:
        by "mean+max", and "first" where layers have no time axis, such as those of AST.

        Raises:
            ValueError: If a layer does not exist, is named twice, or none is named; if the pooling
                does not fit the layers.
        """
        super().__init__()
        valid = ", ".join(encoder.layer_strides)
        if unknown := [name for name in names if name not in encoder.layer_strides]:
            raise ValueError(f"no layer {', '.join(unknown)}: the encoder has {valid}")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"name layers to fuse, each once, of {valid}; not {list(names)}")
        self.encoder, self.names = encoder, tuple(names)
        self.pooling: Pooling = _checked_pooling(encoder, pooling)
        self.sample_rate = encoder.sample_rate
        self.layer_strides: Mapping[str, int] = {"fusion": 1}
        width = self._frames(trial_clip(encoder)).shape[-1]
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
    def timestamps(self, waveform: Tensor) -> Timestamps:
        """Fused frames, and the centre in ms of the stretch each covers.

        There are as many as timestamp embeddings of the encoder, or a multiple where layers are
        finer; zeros complete the last ones. What has no time axis is the same at all times.
        """
        waveform = checked_waveform(waveform)
        if self.pooling == "first":
            centers_ms = self.encoder.timestamps(waveform.clone())[1]
            return self._frames(waveform).expand(-1, centers_ms.shape[1], -1), centers_ms
        return timed_frames(self.encoder, waveform, self._frames)

    @torch.no_grad()
    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """The fused frames of the clip, under the one name "fusion"."""
        return {"fusion": self._frames(checked_waveform(waveform))}

    def _frames(self, waveform: Tensor) -> Float[Tensor, "batch frame dim"]:
        layers = self.encoder.layers(waveform.clone())
        return fuse(layers, self.encoder.layer_strides, self.names).float()


def has_time_axis(encoder: Encoder) -> bool:
    """Whether layers are frames, and not, as those of AST, one vector for the whole clip."""
    return getattr(encoder, "pooling", None) != "first"


def trial_clip(encoder: Encoder) -> Float[Tensor, "1 sample"]:
    """A clip that shows the widths of layers, where the encoder is: one second of faint noise.

    Code of others may need more than a sample, or sound: a second is what HEAR modules are tried
    on. Encoders of ours take any length, and the shortest costs least.
    """
    tensors = encoder.state_dict().values() if isinstance(encoder, nn.Module) else ()
    n_samples = 1 if isinstance(encoder, FrozenEncoder) else encoder.sample_rate
    noise = torch.rand(1, n_samples, generator=torch_generator("trial clip")) / 50 - 0.01
    return noise.to(next((tensor.device for tensor in tensors), None))


def timed_frames(
    encoder: Encoder,
    waveform: Float[Tensor, "batch sample"],
    frames_of: Callable[[Tensor], Float[Tensor, "batch some dim"]],
) -> Timestamps:
    """Frames on the coarsest clock of the layers of an encoder, and the centre of each in ms.

    Layers can be finer than the output frames: 0.96 s of VGGish are one output frame, and six
    frames after its coarsest pooling. Frames of an encoder whose clock is not known lie where its
    timestamp embeddings do. Zeros complete the last frames before `frames_of` reads the layers.

    Raises:
        ValueError: If there are not as many frames as centres.
    """
    if isinstance(encoder, FrozenEncoder):
        n_samples = waveform.shape[-1]
        # An output frame spans a stride; its layer frames are centred in equal parts of that.
        parts = encoder.finest_frames // max(encoder.layer_strides.values())
        is_one = parts == 1
        count = encoder.n_timestamps(n_samples) if is_one else encoder.n_centers(n_samples, parts)
        missing = encoder.samples_for(-(-count // parts)) - n_samples
        centers_ms = encoder.centers_ms(count, n_samples, parts).to(waveform.device)
        centers_ms = centers_ms.repeat(len(waveform), 1)
        frames = frames_of(nn.functional.pad(waveform, (0, max(0, missing))))[:, :count]
    else:
        centers_ms = encoder.timestamps(waveform.clone())[1]
        frames = frames_of(waveform)
    if frames.shape[:2] != centers_ms.shape:
        raise ValueError(
            f"the layers of {type(encoder).__name__} give {frames.shape[1]} frames where its clock "
            f"has {centers_ms.shape[1]}: it has no timestamp embeddings from them"
        )
    return frames, centers_ms


def _checked_pooling(encoder: Encoder, pooling: Pooling | None) -> Pooling:
    """What is asked for, or the paper's choice; refused if it does not fit the layers."""
    has_time = has_time_axis(encoder)
    if pooling is None:
        return "mean+max" if has_time else "first"
    if has_time == (pooling == "first"):
        axis = "a time axis" if has_time else "no time axis"
        raise ValueError(f"pooling {pooling!r} does not fit: layers of this encoder have {axis}")
    return pooling
