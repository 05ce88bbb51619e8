"""Options of the linear evaluation."""

import argparse

from byola_diff.evaluation.linear.run import LOGISTIC
from byola_diff.evaluation.options import positive_number
from byola_diff.probing.protocols import PROTOCOLS


def linear_options(verb: argparse.ArgumentParser) -> None:
    """Add what is special to linear, layers, fusion and ensemble."""
    verb.add_argument(
        "--protocol",
        choices=(*PROTOCOLS, LOGISTIC),
        default="evar",
        help="evar, diff24: a linear layer trained as in the papers, the learning rate chosen on "
        "validation clips by score or by loss; logistic: the optimum of a regularised regression, "
        "found directly (%(default)s)",
    )
    verb.add_argument(
        "--learning-rates",
        type=positive_number,
        nargs="+",
        metavar="RATE",
        help="to choose from (13 from 1e-5 to 1e-2)",
    )
    verb.add_argument(
        "--seeds", type=int, nargs="+", metavar="N", help="each gives a score (42 43 44)"
    )
