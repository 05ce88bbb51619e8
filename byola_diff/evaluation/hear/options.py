"""Options of HEAR's tasks."""

import argparse
from pathlib import Path

from byola_diff.evaluation.options import positive_whole

USUAL_HEAR = {"grid": "default", "points": 8, "shuffle": False}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""


def hear_options(verb: argparse.ArgumentParser) -> None:
    """Add what is special to `hear`."""
    verb.add_argument(
        "--task",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="task folders, or tar.gz as published",
    )
    verb.add_argument(
        "--grid",
        choices=("default", "fast", "faster"),
        default=USUAL_HEAR["grid"],
        help="hyper-parameters to choose from, by the names of HEAR's kit (%(default)s)",
    )
    verb.add_argument(
        "--points",
        type=positive_whole,
        default=USUAL_HEAR["points"],
        metavar="N",
        help="combinations of them to try (%(default)s)",
    )
    verb.add_argument(
        "--shuffle", action="store_true", help="order clips anew in each epoch, unlike HEAR's kit"
    )
    verb.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="also write predictions: a file for each task and encoder",
    )
