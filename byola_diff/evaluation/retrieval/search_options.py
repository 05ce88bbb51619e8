"""Options of the search in a folder."""

import argparse
from pathlib import Path

from byola_diff.evaluation.options import positive_whole


def search_options(verb: argparse.ArgumentParser) -> None:
    """Add what is special to the search, `--encoder` and `--out` among it."""
    verb.add_argument(
        "--system",
        type=Path,
        required=True,
        metavar="DIR",
        help="a trained system, such as runs/retrieval/NAME/seed_42",
    )
    verb.add_argument(
        "--query", type=Path, required=True, metavar="FILE", help="the recording to start from"
    )
    verb.add_argument(
        "--text",
        required=True,
        help="how what is searched differs from it, as in 'add a dog, remove the rain'",
    )
    verb.add_argument(
        "--folder", type=Path, required=True, metavar="DIR", help="where to search for audio files"
    )
    verb.add_argument(
        "--encoder",
        metavar="WORD",
        help="the encoder that the system was trained with, if it is not found by its name there",
    )
    verb.add_argument(
        "--top", type=positive_whole, default=10, metavar="N", help="files to show (%(default)s)"
    )
    verb.add_argument(
        "--out",
        type=Path,
        default=Path("runs/search.html"),
        metavar="HTML",
        help="the page (%(default)s)",
    )
