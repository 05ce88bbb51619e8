"""Where the frames of an encoder lie in a clip, in whole numbers: no drift, no rounding of counts.

Layers can be finer than the output frames: 0.96 s of VGGish are one output frame, and six frames
after its coarsest pooling. The clock of layers follows from that of the output frames and from how
many of theirs one of those spans.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.encoders.contract import Encoder, FrozenEncoder
from byola_diff.models.encoder import AudioEncoder


@dataclass(frozen=True)
class FrameClock:
    """Frame j is centred on sample `(first + j * step) / unit`."""

    sample_rate: int
    """Hz."""
    unit: int
    first: int
    step: int
    samples_for: Callable[[int], int]
    """The fewest samples that give so many frames."""
    count: Callable[[int], int] | None = None
    """Frames of a clip of so many samples, where that is not all frames centred in it."""

    def n_frames(self, n_samples: int) -> int:
        """Timestamp embeddings of a clip, at least one."""
        if self.count is not None:
            return self.count(n_samples)
        return max(1, (self.unit * n_samples - self.first) // self.step + 1)

    def padded(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch longer"]:
        """The clips with the zeros that complete their last frames."""
        n_samples = waveform.shape[-1]
        missing = self.samples_for(self.n_frames(n_samples)) - n_samples
        return nn.functional.pad(waveform, (0, max(0, missing)))

    def centers_ms(self, n_samples: int) -> Float[Tensor, " frame"]:
        """Centres of the frames of a clip; that of a clip too short for any is its end."""
        position = self.first + self.step * torch.arange(self.n_frames(n_samples))
        position = position.clamp_max(self.unit * n_samples).double()
        return (position * 1000 / (self.unit * self.sample_rate)).float()


def frame_clock(encoder: Encoder) -> FrameClock | None:
    """The clock of the coarsest layers of an encoder, or None if it does not tell its own.

    Where that is the clock of the output frames, counts and centres are those of its timestamps.
    """
    per_output, count = 1, None
    if isinstance(encoder, AudioEncoder):
        frame_stride, hop = encoder.network.frame_stride, encoder.log_mel.hop_samples
        stride, twice_first = frame_stride * hop, (frame_stride - 1) * hop

        def samples_for(n_frames: int) -> int:
            return (n_frames * frame_stride - 1) * hop

    elif isinstance(encoder, FrozenEncoder):
        per_output = encoder.finest_frames // max(encoder.layer_strides.values())
        stride, twice_first = encoder.stride_samples, encoder.twice_first_center
        samples_for = encoder.samples_for
        count = encoder.n_timestamps if per_output == 1 else None
    else:
        return None
    # An output frame spans a stride; its layer frames are centred in equal parts of that.
    return FrameClock(
        sample_rate=encoder.sample_rate,
        unit=2 * per_output,
        first=per_output * (twice_first - stride) + stride,
        step=2 * stride,
        samples_for=lambda n_frames: samples_for(-(-n_frames // per_output)),
        count=count,
    )


def has_time_axis(encoder: Encoder) -> bool:
    """Whether layers are frames, and not, as those of AST, one vector for the whole clip."""
    return getattr(encoder, "pooling", None) != "first"


def shortest_clip(encoder: Encoder) -> Float[Tensor, "1 1"]:
    """A clip of one silent sample, where the encoder is: enough to see the widths of layers."""
    tensors = encoder.state_dict().values() if isinstance(encoder, nn.Module) else ()
    return torch.zeros(1, 1, device=next((tensor.device for tensor in tensors), None))


def timed_frames(
    encoder: Encoder,
    waveform: Float[Tensor, "batch sample"],
    frames_of: Callable[[Tensor], Float[Tensor, "batch some dim"]],
) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
    """What `frames_of` makes of the layers of an encoder, and the centre of each frame in ms.

    Of an encoder that does not tell its clock, they lie where its timestamp embeddings do.

    Args:
        encoder: Whose layers `frames_of` reads.
        waveform: To be completed with zeros where the last frames need them.
        frames_of: Waveforms to frames on the coarsest clock of the layers.

    Raises:
        ValueError: If there are not as many frames as centres.
    """
    clock = frame_clock(encoder)
    if clock is None:
        centers_ms = encoder.timestamps(waveform)[1]
        frames = frames_of(waveform)
    else:
        centers_ms = clock.centers_ms(waveform.shape[-1]).to(waveform.device)
        centers_ms = centers_ms.repeat(len(waveform), 1)
        frames = frames_of(clock.padded(waveform))[:, : centers_ms.shape[1]]
    if frames.shape[:2] != centers_ms.shape:
        raise ValueError(
            f"the layers of {type(encoder).__name__} give {frames.shape[1]} frames where its clock "
            f"has {centers_ms.shape[1]}: it has no timestamp embeddings from them"
        )
    return frames, centers_ms
