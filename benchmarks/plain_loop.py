"""The plain training step that `train_step.py` compares with: no batching, fusing or caching.

Modules of torch as they come, in contiguous float32; Python loops over clips for the augmentations
and over tensors for the target. The method is the same, at difference weight 0.
"""

import copy
import math
import random

import torch
from nnAudio.features import MelSpectrogram
from torch import Tensor, nn
from torch.nn import functional


def _conv_block(channels_in: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, 64, 3, padding=1)
    return [convolution, nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)]


def _head(dim_in: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim_in, 4096), nn.BatchNorm1d(4096), nn.ReLU(), nn.Linear(4096, 256)
    )


class PlainEncoder(nn.Module):
    """AudioNTT2022 of stock modules: log-mel to pooled representation."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_conv_block(1), *_conv_block(64))
        self.fc = nn.Sequential(
            nn.Linear(1024, 2048), nn.ReLU(), nn.Dropout(0.3), nn.Linear(2048, 2048), nn.ReLU()
        )

    def forward(self, log_mel: Tensor) -> Tensor:
        """Representation [batch, 3072]."""
        frames = self.features(log_mel).permute(0, 3, 2, 1).flatten(2)
        frames = torch.cat([frames, self.fc(frames)], dim=-1)
        return frames.mean(1) + frames.amax(1)


class PlainStep(nn.Module):
    """The parts of a step, in the order of their use."""

    def __init__(self, statistics: tuple[float, float]) -> None:
        super().__init__()
        self.mel = MelSpectrogram(
            sr=16_000, n_fft=400, hop_length=160, n_mels=64, fmin=50, fmax=8000, verbose=False
        )
        self.mean, self.std = statistics
        self.online = nn.Sequential(PlainEncoder(), _head(3072))
        self.predictor = _head(256)
        self.target = copy.deepcopy(self.online)
        self.memory: list[Tensor] = []
        weights = [*self.online.parameters(), *self.predictor.parameters()]
        self.optimizer = torch.optim.Adam(weights, lr=1e-3)

    def log_mel(self, waveform: Tensor) -> Tensor:
        """Normalised log-mel of the batch."""
        with torch.no_grad():
            log_mel = torch.log(self.mel(waveform) + torch.finfo(torch.float32).eps)
            return (log_mel[:, None] - self.mean) / self.std

    def views(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Two views, clip by clip."""
        pairs = [(self._augment(clip), self._augment(clip)) for clip in log_mel]
        views = torch.stack([torch.stack(view) for view in zip(*pairs, strict=True)])
        first, second = (views - views.mean()) / views.std()
        return first, second

    def _augment(self, clip: Tensor) -> Tensor:
        mixed = clip
        if self.memory:
            share = random.uniform(0, 0.2)
            mixed = torch.log(
                (1 - share) * clip.exp() + share * random.choice(self.memory).exp() + 1e-7
            )
        self.memory = [*self.memory[-2047:], clip]
        line = torch.linspace(
            random.uniform(-1, 1), random.uniform(-1, 1), clip.shape[-1], device=clip.device
        )
        return self._crop(mixed) + line

    @staticmethod
    def _crop(clip: Tensor) -> Tensor:
        _, n_mels, n_frames = clip.shape
        padding = n_frames // 4
        canvas = functional.pad(clip, (padding, padding))
        height = min(math.floor(random.uniform(0.6, 1.5) * n_mels), n_mels)
        width = min(math.floor(random.uniform(0.6, 1.5) * n_frames), canvas.shape[-1])
        top = random.randint(0, n_mels - height)
        left = random.randint(0, canvas.shape[-1] - width)
        box = canvas[None, :, top : top + height, left : left + width]
        size = (n_mels, n_frames)
        return functional.interpolate(box, size, mode="bicubic", align_corners=True)[0]

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """BYOL over both directions."""
        predictions = [self.predictor(self.online(view)) for view in (first, second)]
        with torch.no_grad():
            targets = [self.target(view) for view in (second, first)]
        first_cosine, second_cosine = (
            functional.cosine_similarity(prediction, target).mean()
            for prediction, target in zip(predictions, targets, strict=True)
        )
        return 4 - 2 * (first_cosine + second_cosine)

    def update_target(self) -> None:
        """Moving average, tensor by tensor."""
        with torch.no_grad():
            pairs = zip(self.target.parameters(), self.online.parameters(), strict=True)
            for old, new in pairs:
                old.copy_(0.99 * old + 0.01 * new)
