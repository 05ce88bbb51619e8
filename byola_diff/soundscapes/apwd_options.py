"""Options of the scripts that make pairs of clips."""

import argparse
from collections.abc import Sequence
from pathlib import Path

_AT_LEAST_1 = ("workers", "limit", "output_rate", "sample_rate")


def apwd_options(parser: argparse.ArgumentParser) -> None:
    """Add what both scripts have."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--seed", type=int, default=0, help="of all draws (default: 0)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--renderer",
        choices=("auto", "scaper", "mixer"),
        default="auto",
        help="Scaper or our own mixer (default: Scaper where it is installed)",
    )
    parser.add_argument(
        "--output-rate", type=int, metavar="HZ", help="resample the clips once, such as to 16000"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what there is; write nothing")


def parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, with counts and rates checked."""
    options = parser.parse_args(arguments)
    for name in _AT_LEAST_1:
        value = getattr(options, name, None)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return options
