"""A pretraining run from its configuration to its exit status, with all that is said of its end."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import NoReturn

from lightning_fabric.utilities.exceptions import MisconfigurationException

from byola_diff import build
from byola_diff.allocator import keep_freed_memory
from byola_diff.atomic import only_writer
from byola_diff.clips.source import TooManyRejectedError, UnreadableSourceError
from byola_diff.clips.stored import StoreTooLargeError
from byola_diff.config import PretrainConfig
from byola_diff.devices import count_devices
from byola_diff.stopping import TerminatedError, ending_with_this, stoppable
from byola_diff.storage import BrokenFileError
from byola_diff.store.description import PackedStoreError
from byola_diff.tables.reading import UnreadableClipsError
from byola_diff.threads import sharing_cores
from byola_diff.training.checkpoints import StoppedError
from byola_diff.training.loggers import LoggerError
from byola_diff.training.monitors import DivergedError
from byola_diff.training.progress import hide_lightning_noise
from byola_diff.training.run_identity import (
    OtherRunError,
    check_resumed,
    find_checkpoint,
    has_checkpoint,
    identity_of_run,
    statistics_of_run,
    tell_start,
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


def main(config: PretrainConfig, resume: str, prog: str) -> None:
    """Run; what goes wrong is told in a line after the name `prog`, and ends the program."""
    keep_freed_memory()
    hide_lightning_noise()
    # Of several processes, one speaks for all and holds the folder.
    folder = only_writer(config.out_dir) if is_first() else nullcontext()
    # Lightning divides the cores among the processes of a node; none of them is to take more.
    n_processes = count_devices(config) * config.training.nodes
    # What is compiled is compiled for a number of threads.
    keeps = config.training.deterministic or config.training.compile or n_processes > 1
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
        _end(prog, f"stopped at once; {_how_to_go_on(config)}", status)
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
        tell_start(config, checkpoint, resume)
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


def _how_to_go_on(config: PretrainConfig) -> str:
    """What to give after a stop at once, which saves nothing."""
    if has_checkpoint(config):
        return "--resume auto goes on from the newest checkpoint"
    return "nothing was saved yet: the same command begins again"


def _end(prog: str, message: str, status: int) -> NoReturn:
    if is_first():
        print(f"{prog}: {message}", file=sys.stderr)
    sys.exit(status)
