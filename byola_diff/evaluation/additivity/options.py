"""Options of additivity."""

import argparse
import math
from pathlib import Path

from byola_diff.evaluation.options import positive_number, positive_whole

USUAL_ADDITIVITY = {
    "events": 200,
    "snr_db": [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0],
    "duration_s": 2.0,
    "seeds": [0, 1, 2],
}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""

_MAX_DB = 60.0


def additivity_options(verb: argparse.ArgumentParser) -> None:
    """Add what is special to `additivity`."""
    verb.add_argument(
        "--event-folder",
        type=Path,
        metavar="DIR",
        help="events: a folder per label, a folder with manifest.csv, or a manifest (procedural)",
    )
    verb.add_argument(
        "--background-folder",
        type=Path,
        metavar="DIR",
        help="backgrounds: long files in a folder or in those below it (procedural)",
    )
    verb.add_argument(
        "--events",
        type=positive_whole,
        default=USUAL_ADDITIVITY["events"],
        metavar="N",
        help="number of events (%(default)s)",
    )
    verb.add_argument(
        "--snr-db",
        type=_decibel,
        nargs="+",
        default=USUAL_ADDITIVITY["snr_db"],
        metavar="DB",
        help="levels of events against backgrounds (-10 to 20 in steps of 5); the score is that "
        "nearest to 0",
    )
    verb.add_argument(
        "--duration-s",
        type=positive_number,
        default=USUAL_ADDITIVITY["duration_s"],
        metavar="S",
        help="length of each sound (%(default)s)",
    )
    verb.add_argument(
        "--polyphony-clips",
        type=_whole,
        default=400,
        metavar="N",
        help="mixtures of 1 to 8 sources to train a probe on, and as many to test it; 0 for none "
        "(%(default)s)",
    )
    verb.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=USUAL_ADDITIVITY["seeds"],
        metavar="N",
        help="each gives other sounds, and a score (0 1 2)",
    )


def _decibel(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not -_MAX_DB <= number <= _MAX_DB:
        raise argparse.ArgumentTypeError(f"{word!r} is no level within {_MAX_DB:g} dB of 0")
    return number


def _whole(word: str) -> int:
    return 0 if word == "0" else positive_whole(word)
