"""Options that verbs of the evaluation share, and values that are refused with reasons."""

import argparse
import math
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import torch

from byola_diff.models.precision import Precision
from byola_diff.option_fields import RARE, Count


def positive_number(word: str | float) -> float:
    """A finite number above 0."""
    number = number_or_nan(word)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{word!r} is no positive number")
    return number


def number_or_nan(word: str | float) -> float:
    """A number; NaN for a word that is none."""
    try:
        return float(word)
    except ValueError:
        return math.nan


def usable_device(word: str | torch.device) -> torch.device:
    """A device that tensors can be made on, here and now."""
    try:
        return torch.empty(0, device=word).device
    except (AssertionError, RuntimeError) as error:  # depends on how torch was built
        raise argparse.ArgumentTypeError(
            f"{word!r} can't be used here: {str(error).splitlines()[0]}"
        ) from error


def npy_file(word: str | Path) -> Path:
    """A file for one array."""
    if not str(word).endswith(".npy"):
        raise argparse.ArgumentTypeError(f"{word!r} must end in .npy, which is what is written")
    return Path(word)


_CPU = torch.device("cpu")

Rate = Annotated[float, positive_number, "RATE"]
Encoder = Annotated[str, "WORD"]
Folder = Annotated[Path, "DIR"]
Table = Annotated[Path, "CSV"]


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """Where encoders compute, and in what portions."""

    batch_size: Annotated[Count, RARE] = 32
    """Clips at a time."""
    device: Annotated[torch.device, usable_device, "DEVICE"] = _CPU
    """Such as cuda."""
    dry_run: bool = False
    """Check all but the clips, which are not opened; say what would be done, and stop."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions(ComputeOptions):
    """How clips become embeddings."""

    precision: Annotated[Precision, RARE] = "auto"
    """What networks compute in; auto is bfloat16 where the hardware computes it."""
    workers: Annotated[Count, RARE] = 2
    """Threads."""
    cache: Annotated[Folder, RARE] = Path("runs/cache")
    """Folder of embeddings that were computed before."""
    cluster: Annotated[str, "ADDRESS"] | None = None
    """Embed on a Ray cluster instead: auto, or its address; the machines share the folders."""

    def __post_init__(self) -> None:
        if self.cluster is not None and self.device.type != "cpu":
            raise ValueError("--cluster embeds on processors: leave out --device")


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(ComputeOptions):
    """Whose scores are written, and where to."""

    encoder: list[Encoder]
    """Names of shipped encoders, bundle folders, kinds as in cnn14:FILE (--help-all lists them), or
    YAML files."""
    out: Folder = Path("runs/scores")
    """Folder for the JSON records."""


def deviations(options: Any, *names: str) -> list[str]:
    """Which of these options are not the defaults, without which scores do not compare."""
    found = []
    for field in fields(options):
        factory, value = field.default_factory, getattr(options, field.name)
        default = field.default if factory is MISSING else factory()
        if field.name in names and value != default:
            found.append(f"{field.name}: {value}")
    return found
