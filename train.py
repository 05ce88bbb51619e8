"""Pretrain an encoder.

    python train.py --config configs/pretrain/diff2024.yaml --data.root DIR --out_dir runs/mine

Run it again with `--resume auto` to go on after a stop; Ctrl-C saves a checkpoint first. Settings
of the file can be given as options: `--objective.difference_weight 0.2`; `--print_config` shows
them all.
"""

import sys

from lightning_fabric.utilities.exceptions import MisconfigurationException

from byola_diff import build
from byola_diff.allocator import keep_freed_memory
from byola_diff.clips.rejected import TooManyRejectedError
from byola_diff.clips.stored import StoreTooLargeError
from byola_diff.command_line import HelpfulParser
from byola_diff.config import PretrainConfig
from byola_diff.embeddings.extract import UnreadableClipsError
from byola_diff.storage import BrokenFileError
from byola_diff.store.packed import PackedStoreError
from byola_diff.training.interruption import StoppedError
from byola_diff.training.monitors import DivergedError
from byola_diff.training.progress import hide_lightning_noise
from byola_diff.training.run_identity import OtherRunError, find_checkpoint, statistics_of_run

# Told without a traceback: while training goes on, and before it starts.
RUN_ERRORS = (
    UnreadableClipsError,
    BrokenFileError,
    DivergedError,
    OtherRunError,
    PackedStoreError,
    StoreTooLargeError,
    TooManyRejectedError,
)
USER_ERRORS = (
    *RUN_ERRORS,
    MisconfigurationException,  # of Lightning: as for a GPU that is not there
    ModuleNotFoundError,
    OSError,
    ValueError,
)


def parse_args(args: list[str] | None = None) -> tuple[PretrainConfig, str]:
    """Configuration, and what to resume: "no", "auto" or a path."""
    parser = HelpfulParser(description=__doc__)
    parser.add_argument("--config", action="config", help="YAML file with any of the settings")
    parser.add_class_arguments(PretrainConfig)
    parser.add_argument("--resume", default="no", help="'auto', or the path of a checkpoint")
    namespace = parser.parse_args(args)
    resume = namespace.pop("resume")
    namespace.pop("config")
    try:
        return PretrainConfig(**vars(parser.instantiate(namespace))), resume
    except ValueError as error:
        parser.error(str(error))


def main() -> None:
    """Parse, build, fit."""
    config, resume = parse_args()
    keep_freed_memory()
    hide_lightning_noise()
    try:
        checkpoint = find_checkpoint(config, resume)
        trainer = build.build_trainer(config)
        learner = build.build_learner(config, statistics_of_run(config, checkpoint))
        clips = build.build_clip_module(config)
    except USER_ERRORS as error:
        sys.exit(f"train.py: {error}")
    try:
        trainer.fit(learner, clips, ckpt_path=checkpoint)
    except RUN_ERRORS as error:
        sys.exit(f"train.py: {error}")
    except StoppedError as stop:
        print(f"train.py: {stop}", file=sys.stderr)
        sys.exit(130)
    if trainer.is_global_zero:
        print(f"done: {config.out_dir / 'checkpoints' / 'last.ckpt'}")


if __name__ == "__main__":
    main()
