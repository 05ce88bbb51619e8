"""Command line of the evaluation: what each verb takes."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from byola_diff.evaluation.probes.protocols import PROTOCOLS
from byola_diff.evaluation.runs.linear_runs import LOGISTIC
from byola_diff.evaluation.runs.option_values import (
    device,
    npy_file,
    positive_number,
    positive_whole,
)

USUAL_ADDITIVITY = {"events": 200, "snr_db": 0.0, "duration_s": 2.0}
USUAL_HEAR = {"grid": "default", "points": 8, "shuffle": False}
"""Defaults; scores by other values of these do not compare, and are marked in reports."""

_LINEAR = ("linear", "layers", "fusion", "ensemble")

_EXAMPLES = {
    "linear": "--manifest data/esc50.csv --encoder runs/mine/bundle untrained:AudioNTT2022:3072",
    "layers": "--manifest data/esc50.csv --encoder runs/mine/bundle",
    "fusion": "--manifest data/esc50.csv --encoder 'runs/mine/bundle[conv1,output]'",
    "ensemble": "--manifest data/esc50.csv --encoder configs/evaluate/fusion_cat_xwc.yaml",
    "hear": "--task hear-2021.0.6/tasks/esc50-v2.0.0-full --encoder runs/mine/bundle",
    "additivity": "--encoder runs/mine/bundle",
    "embed": "--manifest data/esc50.csv --encoder runs/mine/bundle --out embeddings.npy",
    "report": "runs/scores --out report.html --csv scores.csv",
}


def evaluation_parser(
    description: str, verbs: Sequence[Callable[[argparse.Namespace], int | None]]
) -> argparse.ArgumentParser:
    """Parser with one sub-command per verb; its function is the attribute `run`."""
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
            _evaluation_options(verb, name)
    return parser


def deviations(options: argparse.Namespace, usual: Mapping[str, Any]) -> list[str]:
    """In what `options` are not the usual ones."""
    given = vars(options)
    return [f"{name}: {given[name]}" for name, value in usual.items() if given[name] != value]


def _evaluation_options(verb: argparse.ArgumentParser, name: str) -> None:
    several = 1 if name == "embed" else "+"
    verb.add_argument(
        "--encoder",
        nargs=several,
        required=True,
        metavar="WORD",
        help="a bundle folder, a kind as in cnn14:FILE, or a YAML file: see evaluate.py --help",
    )
    if name in (*_LINEAR, "embed"):
        verb.add_argument(
            "--manifest",
            type=Path,
            nargs=several,
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
    if name in _LINEAR:
        _linear_options(verb)
    if name == "hear":
        _hear_options(verb)
    if name == "additivity":
        _additivity_options(verb)
    else:
        _extraction_options(verb)
    verb.add_argument(
        "--batch-size",
        type=positive_whole,
        default=32,
        metavar="N",
        help="clips (%(default)s)",
    )
    verb.add_argument("--device", type=device, default="cpu", help="such as cuda (%(default)s)")
    if name == "embed":
        verb.add_argument(
            "--out", type=npy_file, required=True, metavar="NPY", help="file for the embeddings"
        )
    else:
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


def _linear_options(verb: argparse.ArgumentParser) -> None:
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


def _hear_options(verb: argparse.ArgumentParser) -> None:
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


def _additivity_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--events",
        type=positive_whole,
        default=USUAL_ADDITIVITY["events"],
        metavar="N",
        help="events (%(default)s)",
    )
    verb.add_argument(
        "--snr-db",
        type=float,
        default=USUAL_ADDITIVITY["snr_db"],
        metavar="DB",
        help="of events (%(default)s)",
    )
    verb.add_argument(
        "--duration-s",
        type=positive_number,
        default=USUAL_ADDITIVITY["duration_s"],
        metavar="S",
        help="length of each sound (%(default)s)",
    )
    verb.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        metavar="N",
        help="each gives other sounds, and a score (0 1 2)",
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
