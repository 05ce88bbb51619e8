"""One normalised log-mel batch to its two views: the order of the augmentations is decided here."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.normalize import Views, normalize_views
from byola_diff.augment.crop import RandomResizeCrop
from byola_diff.augment.fader import RandomFader
from byola_diff.augment.mixup import MixupMemory, RandomMixup


class ViewMaker(nn.Module):
    """Mixup, random resize crop, random linear fader, each drawn anew for each clip and view."""

    def __init__(
        self,
        n_mels: int,
        n_frames: int,
        mixup_share: float = 0.2,
        mixup_memory: int = 2048,
        fader_gain: float = 1.0,
        crop_mel_scale: tuple[float, float] = (0.6, 1.5),
        n_short: int = 0,
        synchronized: bool = False,
    ) -> None:
        """Build the parts; `synchronized` views are normalised together with other processes'."""
        super().__init__()
        self.mixup = RandomMixup(MixupMemory(n_mels, n_frames, mixup_memory), mixup_share)
        self.crop = RandomResizeCrop(crop_mel_scale)
        self.fader = RandomFader(fader_gain)
        self.n_short, self.synchronized = n_short, synchronized

    @property
    def memory(self) -> MixupMemory:
        """What clips are mixed with; registered once, below `mixup`."""
        return self.mixup.memory

    def forward(
        self,
        log_mel: Float[Tensor, "batch 1 mel frame"],
        generator: torch.Generator,
        second_log_mel: Float[Tensor, "batch 1 mel frame"] | None = None,
    ) -> Views:
        """Two independent views of the batch, normalised together; the batch joins the memory.

        The second is of `second_log_mel` if there is one. Short ones are drawn after them, and
        normalised alike.
        """
        origins = log_mel, log_mel if second_log_mel is None else second_log_mel
        first, second = (self._view(self.mixup(each, generator), generator) for each in origins)
        short = [
            self._view(_half(self.mixup(log_mel, generator), generator), generator)
            for _ in range(self.n_short)
        ]
        self.memory.write(log_mel)
        views = normalize_views(first, second, self.synchronized)
        return views._replace(short=tuple((view - views.mean) / views.std for view in short))

    def _view(self, mixed: Tensor, generator: torch.Generator) -> Tensor:
        return self.fader(self.crop(mixed, generator), generator)


def _half(
    log_mel: Float[Tensor, "batch 1 mel frame"], generator: torch.Generator
) -> Float[Tensor, "batch 1 mel half_frame"]:
    """A stretch of half the frames of each clip, from a place drawn for each."""
    n_frames, n_mels = log_mel.shape[-1], log_mel.shape[2]
    length = n_frames // 2
    draws = torch.rand(len(log_mel), device=log_mel.device, generator=generator)
    start = (draws * (n_frames - length + 1)).long()
    frame = start[:, None] + torch.arange(length, device=log_mel.device)
    return log_mel.gather(3, frame[:, None, None].expand(-1, 1, n_mels, -1))
