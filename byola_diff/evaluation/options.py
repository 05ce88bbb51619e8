"""Command line of the evaluation: what all verbs take, and values that are refused with reasons."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

LINEAR = ("linear", "layers", "fusion", "ensemble")
"""Verbs of the linear evaluation."""

_EXAMPLES = {
    "linear": "--manifest data/esc50.csv --encoder runs/mine/bundle untrained:AudioNTT2022:3072",
    "layers": "--manifest data/esc50.csv --encoder runs/mine/bundle",
    "fusion": "--manifest data/esc50.csv --encoder 'runs/mine/bundle[conv1,output]'",
    "ensemble": "--manifest data/esc50.csv --encoder configs/evaluate/fusion_cat_xwc.yaml",
    "hear": "--task hear-2021.0.6/tasks/esc50-v2.0.0-full --encoder runs/mine/bundle",
    "bgknown": "--data data/bgknown --encoder runs/mine/bundle",
    "retrieval": "--pairs data/apwd_rain/pairs.csv --encoder runs/mine/bundle",
    "search": "--system runs/retrieval/SYSTEM --query a.wav --text 'add a dog' --folder DIR",
    "additivity": "--encoder runs/mine/bundle",
    "embed": "--manifest data/esc50.csv --encoder runs/mine/bundle --out embeddings.npy",
    "report": "runs/scores --out report.html --csv scores.csv",
}


Add = Callable[[argparse.ArgumentParser], None]
"""Adds what is special to a verb."""


def evaluation_parser(
    description: str,
    verbs: Sequence[Callable[[argparse.Namespace], int | None]],
    special: Mapping[str, Add],
) -> argparse.ArgumentParser:
    """Parser with one sub-command per verb; its function is the attribute `run`.

    Args:
        description: Of the program.
        verbs: Functions, whose docstrings say what they do.
        special: By verb, what adds the options that no other one has.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="VERB")
    for run in verbs:
        name = run.__name__
        verb = commands.add_parser(
            name,
            help=run.__doc__,
            description=run.__doc__,
            epilog=f"example:\n  python evaluate.py {name} {_EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.set_defaults(run=run)
        if name == "report":
            _report_options(verb)
        else:
            _evaluation_options(verb, name, special.get(name))
    return parser


def _evaluation_options(verb: argparse.ArgumentParser, name: str, special: Add | None) -> None:
    if name != "search":
        _encoder_option(verb, several=name != "embed")
    if name in (*LINEAR, "embed"):
        _manifest_options(verb, several=name != "embed")
    if special is not None:
        special(verb)
    if name != "additivity":
        _extraction_options(verb)
    verb.add_argument(
        "--batch-size", type=positive_whole, default=32, metavar="N", help="clips (%(default)s)"
    )
    verb.add_argument("--device", type=device, default="cpu", help="such as cuda (%(default)s)")
    if name == "embed":
        verb.add_argument(
            "--out", type=npy_file, required=True, metavar="NPY", help="file for the embeddings"
        )
    elif name != "search":
        verb.add_argument(
            "--out",
            type=Path,
            default=Path("runs/scores"),
            metavar="DIR",
            help="folder for the JSON records (%(default)s)",
        )
    check = "check all but the clips, which are not opened; say what would be done, and stop"
    if name == "hear":
        check += "; archives are unpacked into the cache for that"
    verb.add_argument("--dry-run", action="store_true", help=check)


def _encoder_option(verb: argparse.ArgumentParser, several: bool) -> None:
    verb.add_argument(
        "--encoder",
        nargs="+" if several else 1,
        required=True,
        metavar="WORD",
        help="a bundle folder, a kind as in cnn14:FILE, or a YAML file: see evaluate.py --help",
    )


def _manifest_options(verb: argparse.ArgumentParser, several: bool) -> None:
    verb.add_argument(
        "--manifest",
        type=Path,
        nargs="+" if several else 1,
        required=True,
        metavar="CSV",
        help="a task: columns file, label, and split or fold; datasets/prepare_task.py makes "
        "those of published tasks",
    )
    verb.add_argument(
        "--audio-root",
        type=Path,
        metavar="DIR",
        help="folder that files of manifests are relative to (that of each manifest)",
    )


def _extraction_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of networks; auto is bfloat16 where the hardware computes it (%(default)s)",
    )
    verb.add_argument(
        "--workers",
        type=positive_whole,
        default=2,
        metavar="N",
        help="threads (%(default)s)",
    )
    verb.add_argument(
        "--cache",
        type=Path,
        default=Path("runs/cache"),
        metavar="DIR",
        help="folder of embeddings that were computed before (%(default)s)",
    )


def _report_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "runs", type=Path, nargs="+", metavar="RUNS", help="folders or files of score records"
    )
    verb.add_argument(
        "--out",
        type=Path,
        default=Path("runs/report.html"),
        metavar="HTML",
        help="the report (%(default)s)",
    )
    verb.add_argument("--csv", type=Path, metavar="FILE", help="also write all scores as a table")
    verb.add_argument("--markdown", type=Path, metavar="FILE", help="also write tables as text")
    verb.add_argument("--dry-run", action="store_true", help="read the records and stop")


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


def deviations(options: argparse.Namespace, usual: Mapping[str, Any]) -> list[str]:
    """In what `options` are not the usual ones."""
    given = vars(options)
    return [f"{name}: {given[name]}" for name, value in usual.items() if given[name] != value]
