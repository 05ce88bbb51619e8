"""The base of all frozen encoders: clips of any length in, embeddings and their times out.

Encoders share the bookkeeping around their network: short clips, long clips, times of the frames.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.waveform import checked_waveform
from byola_diff.models.embed import SceneEncoder, embed
from byola_diff.models.pooling import Pooling, pool
from byola_diff.models.precision import network_autocast

Timestamps = tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]
"""Embeddings over time, and the centre of each in ms."""


class EvalModule(nn.Module):
    """An encoder as a module for inference only, which never leaves eval mode."""

    def freeze(self) -> None:
        """No gradients, eval mode; to be called once the weights are in."""
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "EvalModule":
        """Stay in eval mode: dropout or batch statistics would make embeddings random."""
        del mode
        return super().train(False)

    def embed(
        self: SceneEncoder,
        recordings: Any,
        sample_rate: int | float | None = None,
        layout: str | None = None,
    ) -> Float[Tensor, "*recording dim"]:
        """One embedding of each recording: files, folders, arrays or a list of these.

        All that may be passed, and the errors, are of `byola_diff.models.embed.embed`.
        """
        return embed(self, recordings, sample_rate, layout)


class FrozenEncoder(EvalModule, ABC):
    """A network that turns waveforms into embeddings; for inference only.

    Output frame i covers samples from `i * stride_samples` on. Clips too short for one frame get
    zeros on the right. Clips longer than `window_samples` are read in windows, one after the other:
    the result is that of one pass where windows overlap by enough `margin_frames`, and else lacks
    context at the seams.

    Methods raise a TypeError if samples are not floating-point, and a ValueError if the shape is
    not [batch, sample], or a sample is NaN or infinite.

    A subclass sets the attributes below, and says how its network turns one window into frames.
    """

    sample_rate: int
    """Hz."""
    scene_embedding_size: int
    timestamp_embedding_size: int
    layer_strides: Mapping[str, int]
    """By layer, in order: frames of the finest clock that one of its frames spans."""
    stride_samples: int
    """Between output frames."""
    twice_first_center: int
    """Twice the sample on which the first output frame is centred: a whole number."""
    window_samples: int
    """A multiple of `stride_samples`."""
    margin_frames: int = 0
    """Output frames read before and after those of a window, and dropped."""
    pooling: Pooling = "mean+max"
    """How output frames become the scene embedding."""

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

    def samples_for(self, n_frames: int) -> int:
        """The fewest samples from which the network makes so many output frames.

        Those of a frame lie evenly around its centre, unless a subclass says otherwise.
        """
        return self.twice_first_center + (n_frames - 1) * self.stride_samples

    @abstractmethod
    def _layers(self, waveform: Float[Tensor, "batch sample"]) -> dict[str, Tensor]:
        """All layers of one window."""

    @abstractmethod
    def _frames(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame any"]:
        """What the scene embedding is pooled from, of one window."""

    @property
    def finest_frames(self) -> int:
        """Frames of the finest clock that one output frame spans: as many as of the coarsest layer.

        More where output frames lie further apart than those of any layer.
        """
        return max(self.layer_strides.values())

    def n_timestamps(self, n_samples: int) -> int:
        """Timestamp embeddings of a clip: all that are centred in it, at least one."""
        return self.n_centers(n_samples)

    def n_centers(self, n_samples: int, parts: int = 1) -> int:
        """Equal parts of output frames that are centred in a clip, at least one."""
        first = self._twice_first(parts)
        return max(1, (2 * parts * n_samples - first) // (2 * self.stride_samples) + 1)

    def centers_ms(self, n_frames: int, n_samples: int, parts: int = 1) -> Float[Tensor, " frame"]:
        """Centres of the first frames of a clip, or of equal parts of frames.

        Computed in whole samples: no drift. The latest place is the end of the clip.
        """
        position = self._twice_first(parts) + 2 * self.stride_samples * torch.arange(n_frames)
        position = position.clamp_max(2 * parts * n_samples).double()
        return (position * 500 / (parts * self.sample_rate)).float()

    def _twice_first(self, parts: int) -> int:
        """Twice the centre of the first of the parts of a frame, in samples by `parts`."""
        return parts * (self.twice_first_center - self.stride_samples) + self.stride_samples

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip, pooled over its whole frames."""
        waveform = self._padded(checked_waveform(waveform))
        with self._precision(waveform):
            return _joined([self._scene(clips).float() for clips in self._groups(waveform)], 0)

    @torch.no_grad()
    def timestamps(self, waveform: Tensor) -> Timestamps:
        """Frame embeddings, and the centre of each in ms.

        Every frame centred inside the clip is there; to complete the last ones zeros are added. A
        clip that ends before the first centre gives one frame, placed at its end.
        """
        waveform = checked_waveform(waveform)
        n_samples = waveform.shape[-1]
        n_frames = self.n_timestamps(n_samples)
        groups = self._groups(self._padded(waveform, self.samples_for(n_frames)))
        with self._precision(waveform):
            embeddings = _joined([self._timestamps(clips, n_frames) for clips in groups], 0)
        centers_ms = self.centers_ms(n_frames, n_samples).to(embeddings.device)
        return embeddings, centers_ms.repeat(len(waveform), 1)

    @torch.no_grad()
    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """Every layer by name, in order: [batch, channel, mel, frame] or [batch, frame, dim]."""
        waveform = self._padded(checked_waveform(waveform))
        with self._precision(waveform):
            groups = [self._joined_layers(clips) for clips in self._groups(waveform)]
        return {name: _joined([group[name] for group in groups], 0) for name in groups[0]}

    def _precision(self, waveform: Tensor) -> torch.autocast:
        """bfloat16 where `bfloat16_networks` asks for it, but for encoders of other packages."""
        kind, is_ours = waveform.device.type, type(self).__module__.startswith("byola_diff.")
        return network_autocast(kind) if is_ours else torch.autocast(kind, enabled=False)

    def _scene(self, clips: Tensor) -> Float[Tensor, "batch dim"]:
        """Scene embeddings of clips that fit one pass together."""
        return self._pool(_joined(list(self._window_frames(clips)), 1))

    def _timestamps(self, clips: Tensor, n_frames: int) -> Float[Tensor, "batch frame dim"]:
        """The first timestamp embeddings of clips that fit one pass together."""
        # Filled in place: twenty minutes may be 370 MB, which joining a list would double.
        embeddings = clips.new_empty(
            len(clips), n_frames, self.timestamp_embedding_size, dtype=torch.float32
        )
        filled = 0
        for frames in self._window_frames(clips):
            part = frames[:, : n_frames - filled]
            embeddings[:, filled : filled + part.shape[1]] = part
            filled += part.shape[1]
        return embeddings[:, :filled]

    def _joined_layers(self, clips: Tensor) -> dict[str, Tensor]:
        pieces: dict[str, list[Tensor]] = {name: [] for name in self.layer_strides}
        for samples, kept in self._windows(clips.shape[-1]):
            # A copy, as windows overlap and a network of others may change what it gets.
            for name, output in self._layers(clips[:, samples].clone()).items():
                ratio = self.finest_frames // self.layer_strides[name]
                stop = None if kept.stop is None else kept.stop * ratio
                of_layer = slice(kept.start * ratio, stop)
                part = output[..., of_layer] if output.ndim == 4 else output[:, of_layer]
                pieces[name].append(part.float())
        return {
            name: _joined(parts, -1 if parts[0].ndim == 4 else 1) for name, parts in pieces.items()
        }

    def _window_frames(self, clips: Tensor) -> Iterator[Float[Tensor, "batch frame any"]]:
        """Output frames of each window, in float32: bfloat16 would round the mean over frames."""
        for samples, kept in self._windows(clips.shape[-1]):
            yield self._frames(clips[:, samples].clone())[:, kept].float()

    def _pool(self, frames: Float[Tensor, "batch frame any"]) -> Float[Tensor, "batch dim"]:
        """Frames to the scene embedding."""
        return pool(frames, self.pooling)

    def _padded(self, waveform: Tensor, n_samples: int = 0) -> Tensor:
        """Zeros on the right up to `n_samples`, or the least that gives one frame."""
        missing = max(n_samples, self.samples_for(1)) - waveform.shape[-1]
        return nn.functional.pad(waveform, (0, missing)) if missing > 0 else waveform

    def _groups(self, waveform: Tensor) -> Sequence[Tensor]:
        """Clips that fit one pass together: all, unless a subclass splits them."""
        return (waveform,)

    def _windows(self, n_samples: int) -> Iterator[tuple[slice, slice]]:
        """Samples to read in one pass and, of the output frames they give, those to keep."""
        size, margin = self.window_samples // self.stride_samples, self.margin_frames
        # A next window is only there if it has a frame of its own.
        n_frames = (n_samples - self.samples_for(1)) // self.stride_samples + 1
        for start in range(0, n_frames, size):
            stop, first = start + size, max(0, start - margin)
            is_last = stop >= n_frames
            offset = first * self.stride_samples
            end = n_samples if is_last else offset + self.samples_for(stop + margin - first)
            yield slice(offset, end), slice(start - first, None if is_last else stop - first)


def _joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """Parts one after the other; a single one as it is, not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim)
