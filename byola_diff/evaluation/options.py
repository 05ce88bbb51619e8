"""Command line of the evaluation: what each verb takes."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from byola_diff.evaluation.linear_runs import LOGISTIC, LinearRun
from byola_diff.evaluation.probes.protocols import PROTOCOLS

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
            epilog=f"example: python evaluate.py {name} {_EXAMPLES[name]}",
        )
        verb.set_defaults(run=run)
        if name == "report":
            _report_options(verb)
            continue
        _common_options(verb)
        if name in _LINEAR:
            _linear_options(verb)
        if name in (*_LINEAR, "embed"):
            several = 1 if name == "embed" else "+"
            verb.add_argument(
                "--manifest", type=Path, nargs=several, required=True, metavar="CSV", help="task"
            )
        if name == "hear":
            _hear_options(verb)
        if name == "additivity":
            _additivity_options(verb)
        if name == "embed":
            verb.add_argument("--out", type=Path, required=True, metavar="NPY")
        else:
            verb.add_argument(
                "--out", type=Path, default=Path("runs/scores"), help="folder of the JSON records"
            )
    return parser


def linear_run(options: argparse.Namespace) -> LinearRun:
    """How encoders are evaluated, by the options of a verb.

    Raises:
        ValueError: If learning rates or seeds are given for a probe that has none.
    """
    name = getattr(options, "protocol", LOGISTIC)
    changes = {
        key: tuple(value)
        for key in ("learning_rates", "seeds")
        if name in PROTOCOLS and (value := getattr(options, key, None))
    }
    if name == LOGISTIC and (
        getattr(options, "learning_rates", None) or getattr(options, "seeds", None)
    ):
        raise ValueError("logistic regression has no learning rate and no seed")
    return LinearRun(
        protocol=replace(PROTOCOLS[name], **changes) if name in PROTOCOLS else None,
        cache=options.cache,
        batch_size=options.batch_size,
        device=options.device,
        precision=options.precision,
        n_workers=options.workers,
    )


def _common_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--encoder", nargs="+", required=True, metavar="WORD", help="one or several encoders"
    )
    verb.add_argument("--batch-size", type=_positive, default=32, metavar="N", help="clips")
    verb.add_argument("--device", type=_device, default="cpu", help="such as cuda")
    verb.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    verb.add_argument("--workers", type=_positive, default=2, metavar="N", help="reading threads")
    verb.add_argument("--cache", type=Path, default=Path("runs/cache"), help="folder of embeddings")
    verb.add_argument(
        "--dry-run", action="store_true", help="check everything, say what would be done, stop"
    )


def _linear_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--protocol",
        choices=(*PROTOCOLS, LOGISTIC),
        default="evar",
        help="evar, diff24: a linear layer trained as in the papers, the learning rate chosen on "
        "validation clips; logistic: the optimum of a regularised regression, found directly",
    )
    verb.add_argument(
        "--learning-rates",
        type=float,
        nargs="+",
        metavar="RATE",
        help="instead of 13 of 1e-5..1e-2",
    )
    verb.add_argument("--seeds", type=int, nargs="+", help="instead of 42 43 44")


def _hear_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--task", type=Path, nargs="+", required=True, help="task folders, or tar.gz as published"
    )
    verb.add_argument("--grid", choices=("default", "fast", "faster"), default="default")
    verb.add_argument("--points", type=_positive, default=8, help="combinations to try")
    verb.add_argument(
        "--shuffle", action="store_true", help="each epoch anew, which HEAR's kit does not"
    )
    verb.add_argument("--predictions", type=Path, metavar="DIR", help="write predictions there")


def _additivity_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--events", type=_positive, default=200)
    verb.add_argument("--snr-db", type=float, default=0.0)
    verb.add_argument("--duration-s", type=float, default=2.0)
    verb.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def _report_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "runs", type=Path, nargs="+", metavar="RUNS", help="folders or files of score records"
    )
    verb.add_argument("--out", type=Path, default=Path("runs/report.html"), metavar="HTML")
    verb.add_argument("--csv", type=Path, help="also write this")
    verb.add_argument("--markdown", type=Path, help="also write this")


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no positive whole number")
    return int(word)


def _device(word: str) -> torch.device:
    try:
        return torch.empty(0, device=word).device
    except (AssertionError, RuntimeError) as error:  # depends on how torch was built
        raise argparse.ArgumentTypeError(
            f"{word!r} can't be used here: {str(error).splitlines()[0]}"
        ) from error
