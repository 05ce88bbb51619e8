"""Where the frames of layers lie in a clip, in whole numbers: no drift, no rounding of counts.

Layers can be finer than the output frames: 0.96 s of VGGish are one output frame, and six frames
after its coarsest pooling. The clock of layers follows from that of the output frames and from how
many of theirs one of those spans.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.encoders.contract import Encoder
from byola_diff.models.frozen import FrozenEncoder


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

    Frames of an encoder whose clock is not known lie where its timestamp embeddings do.

    Args:
        encoder: Whose layers `frames_of` reads.
        waveform: To be completed with zeros where the last frames need them.
        frames_of: Waveforms to frames on the coarsest clock of the layers.

    Raises:
        ValueError: If there are not as many frames as centres.
    """
    if isinstance(encoder, FrozenEncoder):
        padded, centers_ms = _completed(encoder, waveform)
        frames = frames_of(padded)[:, : centers_ms.shape[1]]
    else:
        centers_ms = encoder.timestamps(waveform)[1]
        frames = frames_of(waveform)
    if frames.shape[:2] != centers_ms.shape:
        raise ValueError(
            f"the layers of {type(encoder).__name__} give {frames.shape[1]} frames where its clock "
            f"has {centers_ms.shape[1]}: it has no timestamp embeddings from them"
        )
    return frames, centers_ms


def _completed(
    encoder: FrozenEncoder, waveform: Float[Tensor, "batch sample"]
) -> tuple[Float[Tensor, "batch longer"], Float[Tensor, "batch frame"]]:
    """Clips with zeros that complete the last frames of layers, and the centres of all frames."""
    n_samples = waveform.shape[-1]
    parts = encoder.finest_frames // max(encoder.layer_strides.values())
    # An output frame spans a stride; its layer frames are centred in equal parts of that.
    n_frames = encoder.n_centers(n_samples, parts)
    if parts == 1:
        n_frames = encoder.n_timestamps(n_samples)
    missing = encoder.samples_for(-(-n_frames // parts)) - n_samples
    centers_ms = encoder.centers_ms(n_frames, n_samples, parts).to(waveform.device)
    padded = nn.functional.pad(waveform, (0, max(0, missing)))
    return padded, centers_ms.repeat(len(waveform), 1)
