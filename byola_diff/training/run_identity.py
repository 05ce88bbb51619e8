"""What a run is: the checkpoint it goes on from, its corpus statistics, settings it must keep."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from byola_diff.atomic import write_text
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import corpus_statistics
from byola_diff.clips.open import count_files, identify_clips, open_source
from byola_diff.clips.source import ClipSource
from byola_diff.commit import code_commit
from byola_diff.config import DataConfig, PretrainConfig, to_plain
from byola_diff.devices import count_devices, use_gpu
from byola_diff.models.kernels import Kernels
from byola_diff.models.precision import resolved_precision
from byola_diff.progress import progress
from byola_diff.randomness import torch_generator
from byola_diff.storage import BrokenFileError, check_hash, load_tensors, sha256
from byola_diff.training.checkpoints import STEP_FILES, newest_checkpoint, step_file
from byola_diff.training.monitors import ListRejectedFiles
from byola_diff.training.start import weights_file
from byola_diff.training.together import is_first

_LENGTH = {"training.epochs", "training.steps", "training.minutes"}
_SCHEDULES = ("schedule", "ema_schedule")

# What may differ: where things lie, how long to go on, what is logged, on which hardware. What
# comes of some of these must not: see `identity_of_run`.
_FREE = _LENGTH | {
    "out_dir",
    *(f"data.{name}" for name in ("source", "root", "num_workers", "max_rejected")),
    "data.statistics_clips",
    *(f"training.{name}" for name in ("accelerator", "devices", "nodes")),
    *(f"training.{name}" for name in ("log_every", "checkpoint_every", "keep_checkpoints")),
    *(f"training.{name}" for name in ("logger", "tensorboard")),  # the latter before there was one
    *(f"monitor.{name}" for name in ("manifest", "every")),
    "run.compiled",  # last bits alone, which is said
}


# What was done before there was a setting for it, where that is not its default now.
_BEFORE = {"objective.running_statistics": "all"}


class OtherRunError(ValueError):
    """A checkpoint made with settings, or on clips, that the run does not have."""


def identity_of_run(config: PretrainConfig) -> dict[str, Any]:
    """What settings leave open: precision, processes and clips of the run; for the first process.

    Others need none of it, and get nothing.
    """
    if not is_first():
        return {}
    facts = {
        "precision": "bfloat16" if use_bfloat16(config) else "float32",
        "processes": count_devices(config) * config.training.nodes,
        "compiled": not use_gpu(config) and Kernels.of(torch.zeros(1, device="cpu")) is not None,
        "clips": identify_clips(config),
    }
    if config.init_from:
        facts["started_from"] = sha256(weights_file(config.init_from))
    return facts


def use_bfloat16(config: PretrainConfig) -> bool:
    """Whether the networks run in bfloat16: for "auto", where the hardware computes it."""
    device = "cuda" if use_gpu(config) else "cpu"
    return resolved_precision(config.training.precision, device) == "bfloat16"


def check_resumed(config: PretrainConfig, checkpoint: Path, identity: Mapping[str, Any]) -> None:
    """Do nothing if the run that left the checkpoint is the one of configuration and identity.

    An older checkpoint has no identity to compare, which is said.

    Raises:
        BrokenFileError: If it is no checkpoint of a run.
        OtherRunError: If it is one of another.
    """
    if not identity:  # as on all processes but the first
        return
    saved = load_tensors(checkpoint)
    if "config" not in saved:
        raise BrokenFileError(checkpoint, "not a checkpoint of a pretraining run")
    old, new = saved["config"], to_plain(config)
    if "identity" in saved:
        old, new = {**old, "run": saved["identity"]}, {**new, "run": identity}
        if saved["identity"].get("compiled", identity.get("compiled")) != identity.get("compiled"):
            began, goes_on = ("without", "with") if identity["compiled"] else ("with", "without")
            _say(
                f"the run began {began} compiled operations and goes on {goes_on}: its last bits "
                "are not those of a run that was never stopped"
            )
    else:
        _say(
            f"{checkpoint} is of an older version: it does not say on which clips, on how many "
            "processes and in which precision it was trained, so these are not compared"
        )
    check_same_run(old, new)


def check_same_run(saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Do nothing if both configurations, with identities as `run`, give the same training.

    Raises:
        OtherRunError: If not: what is resumed would be neither run. Names each setting.
    """
    # A setting that the checkpoint does not know yet had its default.
    old, new = _defaults() | _BEFORE | _flat(saved), _flat(current)
    # A schedule depends on the length of the run.
    constant = all(new.get(f"training.{name}") == "constant" for name in _SCHEDULES)
    free = _FREE if constant else _FREE - _LENGTH
    if "run.precision" in old:  # "auto" is resolved there
        free = free | {"training.precision"}
    changed = [key for key in sorted(old) if old[key] != new.get(key)]
    lines = [f"  {key}: {old[key]} -> {new.get(key)}" for key in changed if key not in free]
    if lines:
        message = "the checkpoint was made with other settings or clips; a new --out_dir starts a"
        if not constant and any(key in _LENGTH for key in changed):
            lines.append("  (a cosine schedule depends on the length of the run)")
        raise OtherRunError("\n".join([f"{message} new run:", *lines]))


def find_checkpoint(config: PretrainConfig, resume: str) -> Path | None:
    """Checkpoint to go on from: the newest whole one for "auto", none for "no", or the path given.

    Raises:
        BrokenFileError: If the path given is no whole checkpoint, or none of the run folder is.
        FileExistsError: If the run folder holds checkpoints that a new run would overwrite, or some
            of later steps than the path given, which would be in its way.
        FileNotFoundError: If the path given does not exist.
    """
    folder = config.out_dir / "checkpoints"
    if resume == "no":
        if has_checkpoint(config):
            raise FileExistsError(
                f"{folder} holds checkpoints: go on with --resume auto, or choose another --out_dir"
            )
        return None
    if resume == "auto":
        return newest_checkpoint(folder)
    path = Path(resume).expanduser()
    check_hash(path)
    _check_newest(path, folder)
    return path


def _check_newest(path: Path, folder: Path) -> None:
    """Refuse to go on from before the newest of a folder: which steps are of which run?"""
    step_names = sorted(each.name for each in folder.glob(STEP_FILES))
    if not step_names:
        return
    step = load_tensors(path).get("global_step", 0)
    if step_names[-1] > step_file(step):
        raise FileExistsError(
            f"{path} is of step {step}, and {folder} holds {step_names[-1]}: move what is newer "
            "away, or choose another --out_dir"
        )


def has_checkpoint(config: PretrainConfig) -> bool:
    """Whether the run folder holds any, whole or not."""
    return any((config.out_dir / "checkpoints").glob("*.ckpt"))


def tell_start(config: PretrainConfig, checkpoint: Path | None, resume: str) -> None:
    """Say from where a run that was to be resumed goes on; to be called once that is sure."""
    if checkpoint:
        _say(f"resuming from {checkpoint}")
    elif resume != "no":
        _say(f"nothing to resume in {config.out_dir / 'checkpoints'}")


def statistics_of_run(
    config: PretrainConfig,
    checkpoint: Path | None,
    identity: Mapping[str, Any] | None = None,
    known: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Mean and deviation of the corpus; the run folder gets these, configuration and identity.

    A checkpoint brings its own, and so may an encoder that the run starts from (`known`): then none
    are computed. The first process gives its own to the others (`Learner.setup`).
    """
    if not is_first():
        return 0.0, 1.0
    if checkpoint is not None:
        state = load_tensors(checkpoint)["state_dict"]
        known = state["normalize.mean"].item(), state["normalize.std"].item()
    # As the network holds them: a run that is resumed has no others.
    mean, std = torch.tensor(known or _statistics_of_clips(config)).tolist()
    statistics = {"mean": mean, "std": std}
    facts = {"config": to_plain(config), "statistics": statistics, "commit": code_commit()}
    facts["identity"] = identity_of_run(config) if identity is None else identity
    write_text(config.out_dir / "run.json", json.dumps(facts, indent=2) + "\n")
    return mean, std


def _statistics_of_clips(config: PretrainConfig) -> tuple[float, float]:
    """Mean and deviation; files that can't be read are listed in the run folder."""
    # "meta" keeps a resident store on disk, where its crops are the same. Each lane of shards reads
    # its buffer full, and this process alone would hold those of all.
    source = open_source(config, "meta", n_lanes=1)
    mean, std = compute_statistics(config, source)
    n_files = count_files(config)
    if n_files:
        rejected = ListRejectedFiles(config.out_dir, n_files, config.data.max_rejected)
        rejected.add(source.take_rejected())
    _say(f"log-mel statistics of the corpus: mean {mean:.4f}, std {std:.4f}")
    return mean, std


def compute_statistics(config: PretrainConfig, source: ClipSource) -> tuple[float, float]:
    """Mean and deviation of the log-mels of seeded random crops of the source, at most one a clip.

    Of a mix of several sources, and of procedural sounds, which have no end, as many crops as set.
    """
    n_clips = min(config.data.statistics_clips, source.n_distinct)
    generator = torch_generator(config.seed, "statistics")
    if source.endless:
        clips = torch.arange(n_clips)  # an endless stream is in random order already
    else:
        clips = torch.randperm(source.n_clips, generator=generator)[:n_clips]
    log_mel = LogMel(**vars(config.front_end))
    batches = progress(clips.split(64), unit="batches", title="statistics", leave=False)
    return corpus_statistics(log_mel(source.batch(0, batch, "cpu")) for batch in batches)


def _defaults() -> dict[str, Any]:
    return _flat(to_plain(PretrainConfig(data=DataConfig(root=Path()))))


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif key == "init_from":  # which it was is part of the identity
            flat[f"{prefix}{key}"] = value is not None
        elif key == "sources":  # where they lie may change: of each, the share stays
            flat[f"{prefix}{key}"] = [part["share"] for part in value]
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _say(text: str) -> None:
    if is_first():
        print(text, flush=True)
