"""In what a run differs from what its scores are usually made by; such scores are marked."""

import argparse
from collections.abc import Mapping
from typing import Any


def deviations(options: argparse.Namespace, usual: Mapping[str, Any]) -> list[str]:
    """In what `options` are not the usual ones."""
    given = vars(options)
    return [f"{name}: {given[name]}" for name, value in usual.items() if given[name] != value]
