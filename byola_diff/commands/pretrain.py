"""Pretrain an encoder.

    python train.py --config configs/pretrain/diff2024.yaml --data.root DIR --out_dir runs/mine

The name of a published configuration will do, too: --config diff2024.
Run it again with `--resume auto` to go on after a stop; Ctrl-C saves a checkpoint first. Settings
of the file can be given as options: `--objective.difference_weight 0.2`; `--print_config` shows
them all.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path

import yaml
from jsonargparse import SUPPRESS, Namespace

from byola_diff.command_line import HelpfulParser, called
from byola_diff.config import PretrainConfig, TrainingConfig
from byola_diff.cores import SHARING_HELP
from byola_diff.optional import telling_what_is_broken

# Nothing here imports torch at first: a misspelt option or a missing file is told at once.

_FORMER_LOGGER = "--training.tensorboard"
_MOST_USED = {
    "help": None,
    "config": "FILE",
    "print_config": None,
    "out_dir": "DIR",
    "resume": "CHECKPOINT",
    "init_from": "ENCODER",
    "data.source": None,
    "data.root": "DIR",
    "data.batch_size": "N",
    "objective.difference_weight": "W",
    "training.epochs": "N",
    "training.steps": "N",
    "training.minutes": "M",
    "training.devices": "N",
    "training.logger": "NAME",
    "monitor.manifest": "CSV",
}
"""Options that the brief help shows, and what it calls their values."""
_PACKAGED = Path(str(files("byola_diff"))) / "configs" / "pretrain"


def parse_args(
    args: Sequence[str] | None = None, prog: str = "train.py"
) -> tuple[PretrainConfig, str]:
    """Configuration, and what to resume: "no", "auto" or a path."""
    details = f"{SHARING_HELP} So do --training.deterministic true and --training.compile true."
    about = {"description": called(prog, __doc__), "details": details}
    parser = HelpfulParser(prog=prog, usage="%(prog)s --config FILE [options]", **about)
    parser.add_argument(
        "--config",
        action="config",
        help=f"YAML file with any of the settings, or one of {', '.join(_packaged_names())}",
    )
    parser.add_class_arguments(PretrainConfig)
    parser.add_argument(_FORMER_LOGGER, type=bool | None, help=SUPPRESS)
    parser.add_argument("--resume", default="no", help="'auto', or the path of a checkpoint")
    for action in parser._actions:
        action.is_rare = action.dest not in _MOST_USED  # type: ignore[attr-defined]
        action.metavar = _MOST_USED.get(action.dest) or action.metavar
    words = _with_packaged_config(parser, sys.argv[1:] if args is None else args)
    if repeated := next(filter(_has_aliases, map(Path, words)), None):
        parser.error(f"{repeated}: has YAML aliases (*name), which no configuration needs")
    namespace = parser.parse_args(words)
    resume = namespace.pop("resume")
    namespace.pop("config")
    for group in fields(PretrainConfig):
        if is_dataclass(group.type) and not isinstance(given := namespace[group.name], Namespace):
            parser.error(f"argument {group.name}: takes settings by name, not {given!r}")
    _take_former_logger(parser, namespace.training)
    try:
        return PretrainConfig(**vars(parser.instantiate(namespace))), resume
    except ValueError as error:
        parser.error(str(error))


def _take_former_logger(parser: HelpfulParser, training: Namespace) -> None:
    """What `training.logger` was before there were several, which configurations may still have."""
    if (tensorboard := training.pop("tensorboard")) is None:
        return
    if training.logger != TrainingConfig.logger:
        parser.error("training.tensorboard is now part of training.logger: leave it out")
    with telling_what_is_broken():  # the one import of torch in this file, for a note
        from byola_diff.training.together import is_first

    training.logger = "tensorboard" if tensorboard else "none"
    if is_first():
        told = f"training.tensorboard is taken as training.logger: {training.logger}"
        print(f"{parser.prog}: {told}", file=sys.stderr)


def _packaged_names() -> list[str]:
    return sorted(path.stem for path in _PACKAGED.glob("*.yaml"))


def _with_packaged_config(parser: HelpfulParser, words: Sequence[str]) -> list[str]:
    """The command line with the path of a configuration of this package for its name."""
    names = _packaged_names()
    given = []
    for before, word in zip(["", *words], words, strict=False):
        option, equals, name = word.rpartition("=")
        after_option = option == "--config" or (not equals and before == "--config")
        if after_option and re.fullmatch(r"\w+", name) and not Path(name).is_file():
            if name not in names:
                listed = ", ".join(names)
                parser.error(f"argument --config: {name!r} is neither a file nor one of {listed}")
            name = str(_PACKAGED / f"{name}.yaml")
        given.append(f"{option}{equals}{name}")
    return given


def _has_aliases(word: Path) -> bool:
    """Whether it is a YAML file with them: some lines can stand for gigabytes."""
    file = Path(str(word).removeprefix("--config="))
    if file.suffix not in (".yaml", ".yml"):
        return False
    try:
        with file.open("rb") as stream:
            return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(stream))
    except (OSError, yaml.YAMLError, ValueError):  # which the parser tells of
        return False


def main(arguments: Sequence[str] | None = None, prog: str = "train.py") -> None:
    """Parse; then import what trains, and train."""
    config, resume = parse_args(arguments, prog)
    with telling_what_is_broken():
        from byola_diff.commands import run_pretraining
    run_pretraining.main(config, resume, prog)
