"""The contract of a frozen encoder, and the base of those that are not ours.

An encoder turns waveforms into embeddings, the same ones whatever else is in the batch. Published
models share the bookkeeping around their network: short clips, long clips, times of the frames.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.waveform import checked_waveform
from byola_diff.models.pooling import mean_max_pool

Pooling = Literal["mean+max", "mean", "first"]


@runtime_checkable
class Encoder(Protocol):
    """What every evaluation takes. Waveforms are [batch, sample] in [-1, 1] at `sample_rate`."""

    sample_rate: int
    """Hz."""
    scene_embedding_size: int
    timestamp_embedding_size: int

    @property
    def layer_strides(self) -> Mapping[str, int]:
        """By layer, in order: frames of the model's finest clock that one of its frames spans.

        Layers of one stride are aligned frame by frame.
        """
        ...

    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip."""
        ...

    def timestamps(
        self, waveform: Tensor
    ) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
        """Embeddings over time, and the centre of each in ms."""
        ...

    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """Every layer by name: [batch, channel, mel, frame] or [batch, frame, dim]."""
        ...


class FrozenEncoder(nn.Module, ABC):
    """A published network behind the contract; for inference only.

    Output frame i covers samples from `i * stride_samples` on. Clips too short for one frame get
    zeros on the right. Clips longer than `window_samples` are read in windows that follow each
    other without overlap: the result is that of one pass but for the missing context at the seams.

    A subclass sets the attributes below, and says how its network turns one window into frames.
    """

    sample_rate: int
    scene_embedding_size: int
    timestamp_embedding_size: int
    layer_strides: Mapping[str, int]
    stride_samples: int
    """Between output frames."""
    twice_first_center: int
    """Twice the sample on which the first output frame is centred: a whole number."""
    window_samples: int
    """A multiple of `stride_samples`."""
    pooling: Pooling = "mean+max"
    """Of output frames, to the scene embedding. "first" takes the only frame there is."""

    def __init__(self, window_s: float) -> None:
        """Set the longest stretch encoded in one pass, given `sample_rate` and `stride_samples`."""
        super().__init__()
        n_frames = round(window_s * self.sample_rate) // self.stride_samples
        if n_frames < 1:
            raise ValueError(f"window_s must hold a frame of {self.stride_samples} samples")
        self.window_samples = n_frames * self.stride_samples

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the weights."""

    @property
    def finest_frames(self) -> int:
        """Frames of the finest clock that one output frame spans: as many as of the coarsest layer.

        More where output frames lie further apart than those of any layer.
        """
        return max(self.layer_strides.values())

    def n_timestamps(self, n_samples: int) -> int:
        """Timestamp embeddings of a clip: all that are centred in it, at least one."""
        return max(1, (2 * n_samples - self.twice_first_center) // (2 * self.stride_samples) + 1)

    @abstractmethod
    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames."""

    @abstractmethod
    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        """All layers of one window."""

    @abstractmethod
    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame any"]:
        """What the scene embedding is pooled from, of one window."""

    def _timestamp_embeddings(
        self, frames: Float[Tensor, "batch frame any"]
    ) -> Float[Tensor, "batch frame dim"]:
        """Frames to timestamp embeddings; the same unless a subclass has a head."""
        return frames

    def _pool(self, frames: Float[Tensor, "batch frame any"]) -> Float[Tensor, "batch dim"]:
        """Frames to the scene embedding."""
        return pool(frames, self.pooling)

    def freeze(self) -> None:
        """No gradients, eval mode; to be called once the weights are in."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "FrozenEncoder":
        """Stay in eval mode: dropout or batch statistics would make embeddings random."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip, pooled over its whole frames.

        Raises:
            TypeError: If the samples are not floating-point.
            ValueError: If the shape is not `[batch, sample]`, or a sample is NaN or infinite.
        """
        waveform = self._padded(checked_waveform(waveform))
        return self._pool(self._joined(waveform)).float()

    @torch.no_grad()
    def timestamps(
        self, waveform: Tensor
    ) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
        """Frame embeddings, and the centre of each in ms, computed in whole samples: no drift.

        Every frame centred inside the clip is there; to complete the last ones zeros are added. A
        clip that ends before the first centre gives one frame, placed at its end.

        Raises:
            TypeError: If the samples are not floating-point.
            ValueError: If the shape is not `[batch, sample]`, or a sample is NaN or infinite.
        """
        waveform = checked_waveform(waveform)
        n_samples = waveform.shape[-1]
        n_frames = self.n_timestamps(n_samples)
        waveform = self._padded(waveform, self.samples_for(n_frames))
        embeddings = self._timestamp_embeddings(self._joined(waveform)[:, :n_frames]).float()
        twice_center = self.twice_first_center + 2 * self.stride_samples * torch.arange(n_frames)
        centers_ms = twice_center.clamp_max(2 * n_samples).double() * 500 / self.sample_rate
        return embeddings, centers_ms.float().to(embeddings.device).repeat(len(waveform), 1)

    @torch.no_grad()
    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """Every layer by name, in order: [batch, channel, mel, frame] or [batch, frame, dim].

        Raises:
            TypeError: If the samples are not floating-point.
            ValueError: If the shape is not `[batch, sample]`, or a sample is NaN or infinite.
        """
        waveform = self._padded(checked_waveform(waveform))
        pieces: dict[str, list[Tensor]] = {name: [] for name in self.layer_strides}
        for window, kept in self._windows(waveform):
            is_last = kept is None
            for name, output in self._layers(window).items():
                ratio = self.finest_frames // self.layer_strides[name]
                stop = None if is_last else kept * ratio
                part = output[..., :stop] if output.ndim == 4 else output[:, :stop]
                pieces[name].append(part.float())
        return {
            name: torch.cat(parts, dim=-1 if parts[0].ndim == 4 else 1)
            for name, parts in pieces.items()
        }

    def _joined(self, waveform: Tensor) -> Float[Tensor, "batch frame any"]:
        """Output frames of all windows, in float32: bfloat16 would round the mean over frames."""
        windows = self._windows(waveform)
        frames = [self._frames(window)[:, :kept].float() for window, kept in windows]
        return torch.cat(frames, dim=1)

    def _padded(self, waveform: Tensor, n_samples: int = 0) -> Tensor:
        missing = max(n_samples, self.samples_for(1)) - waveform.shape[-1]
        return nn.functional.pad(waveform, (0, missing)) if missing > 0 else waveform

    def _windows(self, waveform: Tensor) -> Iterator[tuple[Tensor, int | None]]:
        """Stretches to encode in one pass, and how many output frames of each to keep."""
        n_frames = self.window_samples // self.stride_samples
        n_read = self.samples_for(n_frames)
        start, n_samples = 0, waveform.shape[-1]
        # A next window is only there if it has a frame of its own.
        while n_samples - start - self.window_samples >= self.samples_for(1):
            yield waveform[:, start : start + n_read], n_frames
            start += self.window_samples
        yield waveform[:, start:], None


def pool(frames: Float[Tensor, "batch frame dim"], pooling: Pooling) -> Float[Tensor, "batch dim"]:
    """Frame embeddings to one vector per clip.

    Raises:
        ValueError: If "first" is asked of several frames.
    """
    if pooling == "mean+max":
        return mean_max_pool(frames)
    if pooling == "mean":
        return frames.mean(dim=1)
    if frames.shape[1] != 1:
        raise ValueError(f"{frames.shape[1]} frames need pooling; 'first' is for a single one")
    return frames[:, 0]


def package_versions(*packages: str) -> dict[str, str]:
    """For `settings()`: another version may compute other embeddings from the same weights.

    Without the build, as in "+cpu", so that settings are the same on every device.
    """
    return {package: version(package).partition("+")[0] for package in packages}
