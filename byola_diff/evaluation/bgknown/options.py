"""Options of Background-known ESC-50."""

import argparse
from pathlib import Path

from byola_diff.evaluation.options import positive_number
from byola_diff.probing.protocols import BGKNOWN

USUAL_BGKNOWN = {
    "learning_rates": list(BGKNOWN.learning_rates),
    "seeds": list(BGKNOWN.seeds),
}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""


def bgknown_options(verb: argparse.ArgumentParser) -> None:
    """Add what is special to bgknown."""
    verb.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="data set, such as datasets/make_bgknown_esc50.py makes",
    )
    verb.add_argument(
        "--learning-rates",
        type=positive_number,
        nargs="+",
        default=USUAL_BGKNOWN["learning_rates"],
        metavar="RATE",
        help="of the probe; of several the one of lowest validation loss is taken (0.001)",
    )
    verb.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=USUAL_BGKNOWN["seeds"],
        metavar="N",
        help="each gives a score (42 43 44)",
    )
