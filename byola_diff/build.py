"""From a configuration to the objects of a run: the only place that reads the whole of it."""

import copy
import json
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from byola_diff.atomic import write_text
from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize, corpus_statistics
from byola_diff.clips.folder import FolderSource
from byola_diff.clips.mixture import MixedSource
from byola_diff.clips.order import steps_per_epoch
from byola_diff.clips.procedural import ProceduralSource
from byola_diff.clips.resident import ResidentSource
from byola_diff.clips.source import ClipSource, RejectingSource
from byola_diff.clips.stored import PackedSource
from byola_diff.commit import code_commit
from byola_diff.config import DataConfig, PretrainConfig, SourceKind, to_plain
from byola_diff.models.cnn import ENCODERS
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.pair import OnlineTargetPair
from byola_diff.randomness import derive_seed, torch_generator
from byola_diff.storage import check_hash
from byola_diff.store.packed import PackedStore
from byola_diff.tables.manifest import read_manifest
from byola_diff.training.checkpoints import (
    CheckedCheckpointIO,
    KeepCheckpoints,
    newest_checkpoint,
)
from byola_diff.training.clip_module import ClipModule
from byola_diff.training.interruption import FinishStep
from byola_diff.training.learner import Learner
from byola_diff.training.monitors import Meter, ScoreDuringTraining
from byola_diff.training.objective import Objective
from byola_diff.training.progress import Progress
from byola_diff.training.rejected_files import ListRejectedFiles
from byola_diff.training.schedules import SCHEDULES
from byola_diff.training.time_limit import UNBOUNDED_STEPS, TimeLimit
from byola_diff.training.views import ViewMaker


def build_learner(config: PretrainConfig, statistics: tuple[float, float]) -> Learner:
    """Networks, augmentations and loss, with weights that depend on `config.seed` alone."""
    training, log_mel = config.training, build_log_mel(config)
    n_frames = 1 + config.unit_samples // config.front_end.hop_samples
    objective = Objective(**vars(config.objective))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "weights"))
        pair = OnlineTargetPair(
            ENCODERS[config.encoder.name](config.front_end.n_mels, config.encoder.dim),
            training.projection_hidden,
            training.projection_dim,
            predicts_differences=objective.difference_weight > 0,
        ).to(memory_format=torch.channels_last)
    return Learner(
        log_mel,
        Normalize(*statistics),
        ViewMaker(config.front_end.n_mels, n_frames, **vars(config.views)),
        pair,
        objective,
        configure_optimizer=lambda weights: torch.optim.Adam(weights, lr=training.lr, fused=True),
        lr_at=partial(SCHEDULES[training.schedule], training.lr, training.warmup_share),
        config=to_plain(config),
        ema_decay=training.ema_decay,
        bfloat16=use_bfloat16(config),
        seed=config.seed,
    )


def build_log_mel(config: PretrainConfig) -> LogMel:
    """Front end of the run."""
    return LogMel(**vars(config.front_end))


def build_source(config: PretrainConfig, device: torch.device | str) -> ClipSource:
    """Training clips, made on `device` if the source can; "meta" stands for none, only the host.

    Raises:
        FileNotFoundError: If `data.root` does not exist.
        PackedStoreError: If it should be a packed store and is no whole one.
        StoreTooLargeError: If a store to be resident does not fit into the memory of the device.
        ValueError: If it is a folder without audio, or a store at another sample rate.
    """
    data = config.data
    if not data.sources:
        return _open_source(config, data.source, data.root, device)
    if any(_needs_host(data, part.source) for part in data.sources):
        device = "meta"  # all clips are made where some have to be
    sources = [_open_source(config, part.source, part.root, device) for part in data.sources]
    return MixedSource(sources, [part.share for part in data.sources], config.seed)


def _needs_host(data: DataConfig, kind: SourceKind) -> bool:
    return kind in ("folder", "packed") or (kind == "procedural" and data.num_workers > 0)


def _open_source(
    config: PretrainConfig, kind: SourceKind, root: Path | None, device: torch.device | str
) -> ClipSource:
    rate, n_samples = config.front_end.sample_rate, config.unit_samples
    if kind == "procedural":
        on_device = config.data.num_workers == 0
        return ProceduralSource(config.seed, n_samples, rate, on_device=on_device)
    if root is None or not root.exists():
        raise FileNotFoundError(f"data.root {root} does not exist")
    if kind == "folder":
        return FolderSource(
            root,
            sample_rate=rate,
            crop_samples=n_samples,
            seed=config.seed,
            max_rejected=config.data.max_rejected,
        )
    store = PackedStore.open(root)
    if store.sample_rate != rate:
        raise ValueError(
            f"the store {root} is at {store.sample_rate} Hz, front_end.sample_rate is {rate}: "
            f"prepare it again with --sample-rate {rate}"
        )
    if kind == "packed" or torch.device(device).type == "meta":
        return PackedSource(store, crop_samples=n_samples, seed=config.seed)
    return ResidentSource(store, crop_samples=n_samples, seed=config.seed, device=device)


def compute_statistics(config: PretrainConfig, source: ClipSource) -> tuple[float, float]:
    """Mean and deviation of the log-mels of seeded random crops of the source."""
    n_clips = min(config.data.statistics_clips, source.n_clips)
    generator = torch_generator(config.seed, "statistics")
    if source.endless:
        clips = torch.arange(n_clips)  # an endless stream is in random order already
    else:
        clips = torch.randperm(source.n_clips, generator=generator)[:n_clips]
    log_mel = build_log_mel(config)

    def log_mels() -> Iterator[Tensor]:
        for batch in clips.split(64):
            yield log_mel(source.batch(0, batch, "cpu"))

    return corpus_statistics(log_mels())


def build_clip_module(config: PretrainConfig) -> ClipModule:
    """Batches of the run, for whatever device Lightning puts this process on."""
    return ClipModule(
        lambda device: build_source(config, device),
        config.seed,
        config.data.batch_size,
        count_steps(config) * config.training.accumulate,
        config.data.num_workers,
    )


def build_trainer(config: PretrainConfig) -> pl.Trainer:
    """Lightning's trainer with our logs, checkpoints and monitors.

    Raises:
        ValueError: If the manifest of the monitor can't be used.
        ModuleNotFoundError: If a log for TensorBoard is asked for and can't be written.
    """
    training, world_size = config.training, count_devices(config) * config.training.nodes
    if training.tensorboard and find_spec("tensorboard") is None:
        raise ModuleNotFoundError(
            "training.tensorboard needs a package that is not installed: "
            "pip install 'byola-diff[log]', or give --training.tensorboard false"
        )
    strategy = "auto"
    if world_size > 1:
        # Each process keeps its own batch statistics and mixup memory: nothing is broadcast.
        strategy = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
    loggers = [TensorBoardLogger(config.out_dir, "", "")] if training.tensorboard else []
    return pl.Trainer(
        accelerator=training.accelerator,
        devices=count_devices(config),
        num_nodes=training.nodes,
        strategy=strategy,
        sync_batchnorm=training.sync_batchnorm,
        max_steps=count_steps(config),
        deterministic=training.deterministic,
        accumulate_grad_batches=training.accumulate,
        callbacks=_callbacks(config, world_size),
        plugins=[CheckedCheckpointIO()],
        logger=loggers or False,
        log_every_n_steps=1,  # of logs that Lightning writes: there are none
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,  # the sampler of ClipModule knows its rank
        limit_val_batches=0,
    )


def _callbacks(config: PretrainConfig, world_size: int) -> list[pl.Callback]:
    training, out_dir = config.training, config.out_dir
    meter = Meter(out_dir, config.data.batch_size * world_size, training.log_every)
    checkpoints = KeepCheckpoints(
        out_dir / "checkpoints", training.checkpoint_every, training.keep_checkpoints
    )
    callbacks: list[pl.Callback] = [meter, Progress(meter), checkpoints]
    if training.minutes is not None:
        callbacks.insert(0, TimeLimit(training.minutes, training.log_every))
    if world_size == 1:
        callbacks.append(FinishStep(checkpoints))
    n_files = count_files(config)
    if n_files:
        callbacks.append(ListRejectedFiles(out_dir, n_files, config.data.max_rejected))
    if config.monitor.manifest:
        score = nearest_neighbour_score(config.monitor.manifest)
        callbacks.append(ScoreDuringTraining(score, out_dir, config.monitor.every))
    return callbacks


def count_files(config: PretrainConfig) -> int:
    """Files that are decoded as training goes on, of which some may turn out unreadable."""
    data = config.data
    parts = [(part.source, part.root) for part in data.sources] or [(data.source, data.root)]
    folders = [root for kind, root in parts if kind == "folder"]
    return sum(_open_source(config, "folder", root, "meta").n_clips for root in folders)


def nearest_neighbour_score(manifest_path: Path) -> Callable[[Learner], dict[str, float]]:
    """Score of a learner's online encoder on a labelled manifest, which is checked now."""
    from byola_diff.embeddings.extract import ExtractionOptions, embed_clips
    from byola_diff.probing.nearest import judged_sides, nearest_neighbour_accuracy

    manifest = read_manifest(manifest_path)
    judged_sides(manifest)

    def score(learner: Learner) -> dict[str, float]:
        encoder = online_encoder(learner)
        options = ExtractionOptions(device=learner.device, progress=False)
        embeddings = embed_clips(encoder, manifest, options=options)
        return {"knn/accuracy": nearest_neighbour_accuracy(embeddings, manifest)}

    return score


def online_encoder(learner: Learner) -> AudioEncoder:
    """The encoder as it is now, for use: a copy, since it is frozen and the learner's must not be.

    On the device of the learner.
    """
    parts = learner.log_mel, learner.normalize, learner.pair.online.encoder
    return AudioEncoder(*copy.deepcopy(parts))


def count_steps(config: PretrainConfig) -> int:
    """Optimiser steps of the run; for one bounded by minutes, more than it can reach."""
    training, data = config.training, config.data
    if training.steps is not None:
        return training.steps
    if training.minutes is not None:
        return UNBOUNDED_STEPS
    world_size = count_devices(config) * training.nodes
    # Counting clips needs no device: "meta" keeps a resident store on disk.
    n_clips = build_source(config, "meta").n_clips
    batches = steps_per_epoch(n_clips, data.batch_size, world_size) * training.epochs
    return max(batches // training.accumulate, 1)


def count_devices(config: PretrainConfig) -> int:
    """Processes on this node."""
    training = config.training
    if training.devices != "auto":
        return training.devices
    gpus_wanted = training.accelerator in ("auto", "gpu", "cuda")
    return max(torch.cuda.device_count(), 1) if gpus_wanted else 1


def use_bfloat16(config: PretrainConfig) -> bool:
    """Whether the networks run in bfloat16: for "auto", where the hardware computes it."""
    if config.training.precision != "auto":
        return config.training.precision == "bfloat16"
    if torch.cuda.is_available() and config.training.accelerator != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


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
    source = build_source(config, "meta")
    mean, std = compute_statistics(config, source)
    n_files = count_files(config)
    if n_files and isinstance(source, RejectingSource):
        rejected = ListRejectedFiles(config.out_dir, n_files, config.data.max_rejected)
        rejected.add(source.take_rejected())
    _say(f"log-mel statistics of the corpus: mean {mean:.4f}, std {std:.4f}")
    statistics = {"mean": mean, "std": std}
    facts = {"config": to_plain(config), "statistics": statistics, "commit": code_commit()}
    write_text(config.out_dir / "run.json", json.dumps(facts, indent=2) + "\n")
    return mean, std


@rank_zero_only
def _say(text: str) -> None:
    print(text, flush=True)
