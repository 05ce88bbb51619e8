"""The devices that a run trains on."""

import torch

from byola_diff.config import PretrainConfig


def count_devices(config: PretrainConfig) -> int:
    """Processes on this node."""
    training = config.training
    if training.devices != "auto":
        return training.devices
    gpus_wanted = training.accelerator in ("auto", "gpu", "cuda")
    return max(torch.cuda.device_count(), 1) if gpus_wanted else 1


def use_gpu(config: PretrainConfig) -> bool:
    """Whether training runs on a GPU."""
    return torch.cuda.is_available() and config.training.accelerator != "cpu"
