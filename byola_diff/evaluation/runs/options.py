"""Command line of the evaluation: what each verb takes."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from byola_diff.evaluation.runs.additivity_options import additivity_options
from byola_diff.evaluation.runs.bgknown_options import bgknown_options
from byola_diff.evaluation.runs.hear_options import hear_options
from byola_diff.evaluation.runs.linear_options import linear_options
from byola_diff.evaluation.runs.option_values import device, npy_file, positive_whole
from byola_diff.evaluation.runs.retrieval_options import retrieval_options
from byola_diff.evaluation.runs.search_options import search_options

_LINEAR = ("linear", "layers", "fusion", "ensemble")

_SPECIAL = {
    **dict.fromkeys(_LINEAR, linear_options),
    "hear": hear_options,
    "bgknown": bgknown_options,
    "retrieval": retrieval_options,
    "search": search_options,
    "additivity": additivity_options,
}

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


def _evaluation_options(verb: argparse.ArgumentParser, name: str) -> None:
    if name != "search":
        _encoder_option(verb, several=name != "embed")
    if name in (*_LINEAR, "embed"):
        _manifest_options(verb, several=name != "embed")
    if name in _SPECIAL:
        _SPECIAL[name](verb)
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
