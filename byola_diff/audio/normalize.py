"""The two normalisations of BYOL-A: by the statistics of the corpus, and over a batch of views."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Normalize(nn.Module):
    """Subtract one mean and divide by one standard deviation, scalars kept with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float, std: float) -> None:
        """Hold the statistics as buffers.

        Raises:
            ValueError: If they are not finite, or `std` is not positive.
        """
        super().__init__()
        if not (abs(mean) < float("inf") and 0 < std < float("inf")):
            raise ValueError(f"statistics must be finite with std > 0, not mean {mean}, std {std}")
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(
        self, log_mel: Float[Tensor, "batch 1 mel frame"]
    ) -> Float[Tensor, "batch 1 mel frame"]:
        """Log-mel with zero mean and unit deviation over the corpus."""
        return (log_mel - self.mean) / self.std


def corpus_statistics(log_mels: Iterable[Float[Tensor, "_ 1 mel frame"]]) -> tuple[float, float]:
    """Mean and population standard deviation of every value in the batches, in float64.

    Raises:
        ValueError: If there are no values, or all are equal.
    """
    count, mean, squares = 0, 0.0, 0.0
    for log_mel in log_mels:
        values = log_mel.double()
        batch_mean = values.mean().item()
        batch_squares = (values - batch_mean).square().sum().item()
        # Chan et al., 1983: merging centred sums does not lose digits as a sum of squares does.
        total = count + values.numel()
        shift = batch_mean - mean
        squares += batch_squares + shift**2 * count * values.numel() / total
        mean += shift * values.numel() / total
        count = total
    if squares == 0:
        raise ValueError(f"no statistics from {count} equal values: is the corpus silent or empty?")
    return mean, (squares / count) ** 0.5


class Views(NamedTuple):
    """Two normalised views of a batch, the mean and deviation used, and short views if any."""

    first: Float[Tensor, "batch 1 mel frame"]
    second: Float[Tensor, "batch 1 mel frame"]
    mean: Float[Tensor, ""]
    std: Float[Tensor, ""]
    short: tuple[Float[Tensor, "batch 1 mel half_frame"], ...] = ()


def normalize_views(
    first: Float[Tensor, "batch 1 mel frame"],
    second: Float[Tensor, "batch 1 mel frame"],
    synchronized: bool = False,
) -> Views:
    """Both views with one mean and one (unbiased) deviation over all values of the two batches.

    With `synchronized`, over the batches of all processes, which have one size.

    Source:
        Niizumi et al., 2021, "BYOL for Audio", post-normalisation.
    """
    values = torch.stack([first, second])
    n_processes = torch.distributed.get_world_size() if synchronized else 1
    if n_processes > 1:
        std, mean = _std_mean_of_all(values, n_processes)
    else:
        std, mean = torch.std_mean(values)
    std = std.clamp_min(torch.finfo(torch.float32).eps)
    return Views((first - mean) / std, (second - mean) / std, mean, std)


def _std_mean_of_all(
    values: Float[Tensor, "..."], n_processes: int
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """As `torch.std_mean`, over the values of all processes, of which each has as many."""
    mean = values.mean()
    torch.distributed.all_reduce(mean)
    mean /= n_processes
    squares = (values - mean).square().sum()
    torch.distributed.all_reduce(squares)
    return (squares / (values.numel() * n_processes - 1)).sqrt(), mean
