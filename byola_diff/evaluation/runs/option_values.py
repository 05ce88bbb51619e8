"""Values of command-line options, refused with what was expected."""

import argparse
import math
from pathlib import Path

import torch


def positive_whole(word: str) -> int:
    """A count."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no positive whole number")
    return int(word)


def positive_number(word: str) -> float:
    """A finite number above 0."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{word!r} is no positive number")
    return number


def device(word: str) -> torch.device:
    """A device that tensors can be made on, here and now."""
    try:
        return torch.empty(0, device=word).device
    except (AssertionError, RuntimeError) as error:  # depends on how torch was built
        raise argparse.ArgumentTypeError(
            f"{word!r} can't be used here: {str(error).splitlines()[0]}"
        ) from error


def npy_file(word: str) -> Path:
    """A file for one array."""
    if not word.endswith(".npy"):
        raise argparse.ArgumentTypeError(f"{word!r} must end in .npy, which is what is written")
    return Path(word)
