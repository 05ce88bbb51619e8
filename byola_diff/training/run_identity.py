"""What a run is: the checkpoint it goes on from, its corpus statistics, settings it must keep."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only

from byola_diff.atomic import write_text
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import corpus_statistics
from byola_diff.clips.open import count_files, open_source
from byola_diff.clips.source import ClipSource
from byola_diff.commit import code_commit
from byola_diff.config import PretrainConfig, to_plain
from byola_diff.randomness import torch_generator
from byola_diff.storage import check_hash
from byola_diff.training.checkpoints import newest_checkpoint
from byola_diff.training.monitors import ListRejectedFiles

_LENGTH = {"training.epochs", "training.steps", "training.minutes"}

# What may differ: where things lie, how long to go on, what is logged, on how many processors.
_FREE = _LENGTH | {
    "out_dir",
    *(f"data.{name}" for name in ("source", "root", "num_workers", "max_rejected")),
    "data.statistics_clips",
    *(f"training.{name}" for name in ("accelerator", "devices", "nodes")),
    *(f"training.{name}" for name in ("log_every", "checkpoint_every", "keep_checkpoints")),
    "training.tensorboard",
    *(f"monitor.{name}" for name in ("manifest", "every")),
}


# What was done before there was a setting for it, where that is not its default now.
_BEFORE = {"objective.running_statistics": "all"}


class OtherRunError(ValueError):
    """A checkpoint made with settings that the run does not have."""


def check_same_run(saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Do nothing if both configurations give the same training.

    Raises:
        OtherRunError: If not: what is resumed would be neither run. Names each setting.
    """
    old, new = _BEFORE | _flat(saved), _flat(current)
    # A schedule depends on the length of the run.
    free = _FREE if new.get("training.schedule") == "constant" else _FREE - _LENGTH
    # A setting that the checkpoint does not know yet has its default, which changes nothing.
    changed = [key for key in sorted(old) if old[key] != new.get(key)]
    lines = [f"  {key}: {old[key]} -> {new.get(key)}" for key in changed if key not in free]
    if lines:
        message = "the checkpoint was made with other settings; a new --out_dir starts a new run"
        raise OtherRunError("\n".join([f"{message}:", *lines]))


def find_checkpoint(config: PretrainConfig, resume: str) -> Path | None:
    """Checkpoint to go on from: the newest whole one for "auto", none for "no", or the path given.

    Raises:
        BrokenFileError: If the path given is no whole checkpoint, or none of the run folder is.
        FileExistsError: If the run folder holds checkpoints that a new run would overwrite.
        FileNotFoundError: If the path given does not exist.
    """
    folder = config.out_dir / "checkpoints"
    if resume == "no":
        if any(folder.glob("*.ckpt")):
            raise FileExistsError(
                f"{folder} holds checkpoints: go on with --resume auto, or choose another --out_dir"
            )
        return None
    if resume == "auto":
        checkpoint = newest_checkpoint(folder)
    else:
        checkpoint = Path(resume)
        check_hash(checkpoint)
    _say(f"resuming from {checkpoint}" if checkpoint else f"nothing to resume in {folder}")
    return checkpoint


def statistics_of_run(config: PretrainConfig, checkpoint: Path | None) -> tuple[float, float]:
    """Mean and deviation of the corpus; the run folder gets these, configuration and commit.

    A checkpoint brings its own, so none are computed where there is one.
    """
    if checkpoint is not None:
        return 0.0, 1.0
    # "meta" keeps a resident store on disk, where its crops are the same.
    source = open_source(config, "meta")
    mean, std = compute_statistics(config, source)
    n_files = count_files(config)
    if n_files:
        rejected = ListRejectedFiles(config.out_dir, n_files, config.data.max_rejected)
        rejected.add(source.take_rejected())
    _say(f"log-mel statistics of the corpus: mean {mean:.4f}, std {std:.4f}")
    statistics = {"mean": mean, "std": std}
    facts = {"config": to_plain(config), "statistics": statistics, "commit": code_commit()}
    write_text(config.out_dir / "run.json", json.dumps(facts, indent=2) + "\n")
    return mean, std


def compute_statistics(config: PretrainConfig, source: ClipSource) -> tuple[float, float]:
    """Mean and deviation of the log-mels of seeded random crops of the source."""
    n_clips = min(config.data.statistics_clips, source.n_clips)
    generator = torch_generator(config.seed, "statistics")
    if source.endless:
        clips = torch.arange(n_clips)  # an endless stream is in random order already
    else:
        clips = torch.randperm(source.n_clips, generator=generator)[:n_clips]
    log_mel = LogMel(**vars(config.front_end))
    return corpus_statistics(log_mel(source.batch(0, batch, "cpu")) for batch in clips.split(64))


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        inner = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


@rank_zero_only
def _say(text: str) -> None:
    print(text, flush=True)
