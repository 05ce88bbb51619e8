"""Clips of a packed store, read from disk at random: for sets larger than the device memory."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from byola_diff.clips.crops import crop_draws, crop_starts
from byola_diff.store.packed import PackedStore


class PackedSource:
    """Crops read from a packed store, each by one read of just its bytes."""

    on_device = False
    endless = False

    def __init__(self, store: PackedStore, *, crop_samples: int, seed: int) -> None:
        self.store = store
        self.sample_rate = store.sample_rate
        self.n_clips = len(store)
        self.crop_samples = crop_samples
        self.seed = seed

    def batch(
        self, epoch: int, clips: Int[Tensor, " batch"], device: torch.device | str = "cpu"
    ) -> Float[Tensor, "batch sample"]:
        """Crops of the given clips, on `device`, padded with zeros on the right."""
        clips = clips.cpu()
        lengths = self.store.index[clips.numpy(), 2]
        draws = crop_draws(self.seed, epoch, clips)
        starts = crop_starts(draws, torch.from_numpy(lengths), self.crop_samples).tolist()
        samples = np.zeros((len(clips), self.crop_samples), np.int16)
        for row, clip in enumerate(clips.tolist()):
            n_samples = min(self.crop_samples, int(lengths[row]))
            samples[row, :n_samples] = self.store.read(clip, starts[row], n_samples)
        return torch.from_numpy(samples).to(device).float() / 32768
