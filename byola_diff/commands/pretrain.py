"""Pretrain an encoder.

    python train.py --config configs/pretrain/diff2024.yaml --data.root DIR --out_dir runs/mine

The name of a published configuration will do, too: --config diff2024.
Run it again with `--resume auto` to go on after a stop; Ctrl-C saves a checkpoint first. Settings
of the file can be given as options: `--objective.difference_weight 0.2`; `--print_config` shows
them all.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

import yaml
from jsonargparse import SUPPRESS, Namespace
from lightning_fabric.utilities.exceptions import MisconfigurationException

from byola_diff import build
from byola_diff.allocator import keep_freed_memory
from byola_diff.atomic import only_writer
from byola_diff.clips.source import TooManyRejectedError, UnreadableSourceError
from byola_diff.clips.stored import StoreTooLargeError
from byola_diff.command_line import HelpfulParser, called
from byola_diff.config import PretrainConfig, TrainingConfig
from byola_diff.devices import count_devices
from byola_diff.stopping import TerminatedError, ending_with_this, stoppable
from byola_diff.storage import BrokenFileError
from byola_diff.store.description import PackedStoreError
from byola_diff.tables.reading import UnreadableClipsError
from byola_diff.threads import SHARING_HELP, sharing_cores
from byola_diff.training.checkpoints import StoppedError
from byola_diff.training.loggers import LoggerError
from byola_diff.training.monitors import DivergedError
from byola_diff.training.progress import hide_lightning_noise
from byola_diff.training.run_identity import (
    OtherRunError,
    check_resumed,
    find_checkpoint,
    identity_of_run,
    statistics_of_run,
)
from byola_diff.training.start import read_start
from byola_diff.training.together import is_first, is_lost_peer

# Said in a line without a traceback: while training goes on, and before it starts.
RUN_ERRORS = (
    UnreadableClipsError,
    UnreadableSourceError,
    BrokenFileError,
    DivergedError,
    LoggerError,
    OSError,  # as of a full disk, or another run in the folder
    OtherRunError,
    PackedStoreError,
    StoreTooLargeError,
    TooManyRejectedError,
)
USER_ERRORS = (
    *RUN_ERRORS,
    MisconfigurationException,  # of Lightning: as for a GPU that is not there
    ModuleNotFoundError,
    ValueError,
)


class StartError(Exception):
    """What a user can mend before anything is trained."""


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
    details = f"{SHARING_HELP} So does --training.deterministic true."
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
    """Parse, build, fit."""
    config, resume = parse_args(arguments, prog)
    keep_freed_memory()
    hide_lightning_noise()
    # Of several processes, one speaks for all and holds the folder.
    folder = only_writer(config.out_dir) if is_first() else nullcontext()
    # Lightning divides the cores among the processes of a node; none of them is to take more.
    n_processes = count_devices(config) * config.training.nodes
    keeps = config.training.deterministic or n_processes > 1
    threads = nullcontext() if keeps else sharing_cores()
    try:
        with stoppable(), _at_once(), folder, threads:
            run(config, resume)
    except (*RUN_ERRORS, StartError) as error:
        sys.exit(f"{prog}: {error}")
    except StoppedError as stop:
        _end(prog, str(stop), 128 + stop.signal_number)
    except KeyboardInterrupt as stop:
        status = 143 if isinstance(stop, TerminatedError) else 130
        _end(prog, "stopped at once; --resume auto goes on from the newest checkpoint", status)
    except RuntimeError as error:
        if not is_lost_peer(error):
            raise
        _end(prog, "another process of this run has ended, and this one with it", 1)


def run(config: PretrainConfig, resume: str) -> None:
    """Train to the end, and say where the last checkpoint is.

    Raises:
        StartError: Before the first step, for what a user can mend.
        StoppedError: After a signal, with a checkpoint saved.
        Exception: One of `RUN_ERRORS`, later.
    """
    try:
        checkpoint = find_checkpoint(config, resume)
        config, network, statistics = read_start(config)
        trainer = build.build_trainer(config, resumed=checkpoint is not None)
        identity = identity_of_run(config)
        if checkpoint:
            check_resumed(config, checkpoint, identity)
        statistics = statistics_of_run(config, checkpoint, identity, statistics)
        learner = build.build_learner(config, statistics, identity, network)
        clips = build.build_clip_module(config)
    except USER_ERRORS as error:
        raise StartError(str(error)) from error
    with ending_with_this():  # the processes of other ranks, which Lightning starts
        trainer.fit(learner, clips, ckpt_path=checkpoint)
    if trainer.is_global_zero:
        print(f"done: {config.out_dir / 'checkpoints' / 'last.ckpt'}")


@contextmanager
def _at_once() -> Iterator[None]:
    """Ctrl-C and SIGTERM as they are, where Lightning would exit with status 1 after them."""
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise end.__context__ from None
        raise


def _end(prog: str, message: str, status: int) -> NoReturn:
    if is_first():
        print(f"{prog}: {message}", file=sys.stderr)
    sys.exit(status)
