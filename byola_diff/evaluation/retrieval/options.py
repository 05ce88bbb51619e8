"""Options of retrieval with a text modifier."""

import argparse
from pathlib import Path

from byola_diff.evaluation.options import positive_whole
from byola_diff.evaluation.retrieval.text_encoders import BAG_OF_WORDS

USUAL_RETRIEVAL = {"epochs": 300, "seeds": [42, 43, 44]}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""


def retrieval_options(verb: argparse.ArgumentParser) -> None:
    """Add what is special to retrieval."""
    verb.add_argument(
        "--pairs",
        type=Path,
        nargs="+",
        required=True,
        metavar="CSV",
        help="tables of pairs with texts, such as pairs.csv of datasets/make_apwd.py; each scene "
        "in them is a task of its own",
    )
    verb.add_argument(
        "--text-encoder",
        default=BAG_OF_WORDS,
        metavar="WORD",
        help="bag-of-words, which is built in; distilbert:FOLDER as in the paper; or distilbert, "
        "from the download cache (%(default)s, as no weights come with this program)",
    )
    verb.add_argument(
        "--epochs",
        type=positive_whole,
        default=USUAL_RETRIEVAL["epochs"],
        metavar="N",
        help="of training; that of lowest validation loss is kept (%(default)s)",
    )
    verb.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=USUAL_RETRIEVAL["seeds"],
        metavar="N",
        help="each gives a system and a score (42 43 44)",
    )
    verb.add_argument(
        "--systems",
        type=Path,
        default=Path("runs/retrieval"),
        metavar="DIR",
        help="folder for the trained systems, which search uses (%(default)s)",
    )
