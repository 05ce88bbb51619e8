"""Options of levels, rates and choices, for the script that makes background-known data sets."""

import argparse

from byola_diff.soundscapes.bgknown import BgKnownSettings


def bgknown_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides how items sound, and which are made."""
    _level_options(parser)
    _choice_options(parser)


def _level_options(parser: argparse.ArgumentParser) -> None:
    usual = BgKnownSettings()
    parser.add_argument(
        "--ref-db",
        type=float,
        default=usual.ref_db,
        metavar="LUFS",
        help="loudness of backgrounds in mixtures (%(default)s)",
    )
    parser.add_argument(
        "--snr-db",
        type=float,
        nargs=2,
        default=list(usual.snr_db),
        metavar=("LOW", "HIGH"),
        help="loudness of events above that (0 3)",
    )
    parser.add_argument(
        "--reference-level",
        choices=("scene", "normalised"),
        default=usual.reference_level,
        help="scene: references have the gain of the background in the mixture; normalised: each "
        "has the loudness --ref-db (%(default)s)",
    )
    parser.add_argument(
        "--sample-rate", type=int, default=usual.sample_rate, help="of the synthesis (%(default)s)"
    )
    parser.add_argument(
        "--output-rate", type=int, metavar="HZ", help="of the files, if another: resampled once"
    )


def _choice_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--exclude-background-labels",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="backgrounds of these are left out",
    )
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="at most N items, of all labels and both splits in turn",
    )
    parser.add_argument(
        "--clips-per-label",
        type=int,
        default=20,
        metavar="N",
        help="procedural events of each kind (%(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be made, and stop")
