"""From a configuration to the objects of a run: the only place that reads the whole of it."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities import rank_zero_only

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize
from byola_diff.clips.open import count_files, open_source
from byola_diff.clips.order import steps_per_epoch
from byola_diff.config import PretrainConfig
from byola_diff.devices import count_devices, use_gpu
from byola_diff.models.cnn import ENCODERS, AudioNTT
from byola_diff.models.encoder import AudioEncoder
from byola_diff.models.pair import OnlineTargetPair
from byola_diff.randomness import derive_seed
from byola_diff.tables.manifest import read_manifest
from byola_diff.tables.reading import check_readable
from byola_diff.tables.rows import located
from byola_diff.training.checkpoints import CheckedCheckpointIO, KeepCheckpoints, StopTogether
from byola_diff.training.clip_module import ClipModule
from byola_diff.training.learner import Learner
from byola_diff.training.loggers import RunLogs
from byola_diff.training.monitors import ListRejectedFiles, Meter, ScoreDuringTraining
from byola_diff.training.objective import Objective
from byola_diff.training.progress import UNBOUNDED_STEPS, Progress, TimeLimit
from byola_diff.training.run_identity import use_bfloat16
from byola_diff.training.views import ViewMaker


def build_learner(
    config: PretrainConfig,
    statistics: tuple[float, float],
    identity: Mapping[str, Any] | None = None,
    network: AudioNTT | None = None,
) -> Learner:
    """Networks, augmentations and loss, with weights that depend on `config.seed` alone.

    Those of the encoder are copied from `network` if there is one. `identity` of the run goes into
    its checkpoints.
    """
    training, views = config.training, config.views
    objective = Objective(**vars(config.objective))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "weights"))
        pair = OnlineTargetPair(
            ENCODERS[config.encoder.name](config.front_end.n_mels, config.encoder.dim),
            training.projection_hidden,
            training.projection_dim,
            predicts_differences=objective.difference_weight > 0,
            predicts_sums=objective.sum_weight > 0 and objective.sum_space == "projection",
        ).to(memory_format=torch.channels_last)
    for branch in (pair.online, pair.target):
        branch.uses_torch_compile = training.compile
        if network is not None:
            branch.encoder.load_state_dict(network.state_dict())
    return Learner(
        config,
        LogMel(**vars(config.front_end)),
        Normalize(*statistics),
        ViewMaker(
            config.front_end.n_mels,
            config.unit_frames,
            mixup_share=views.mixup_share,
            mixup_memory=views.memory_clips(config.data.batch_size),
            fader_gain=views.fader_gain,
            crop_mel_scale=views.crop_mel_scale,
            n_short=views.short,
            synchronized=training.sync_batchnorm and count_devices(config) * training.nodes > 1,
        ),
        pair,
        objective,
        bfloat16=use_bfloat16(config),
        identity=dict(identity or {}),
    )


def check_sizes(config: PretrainConfig) -> None:
    """Do nothing if the network can be built, and a training clip is long enough for it.

    Raises:
        ValueError: If not, with what is possible.
    """
    front_end, rate = config.front_end, config.front_end.sample_rate
    with torch.device("meta"):
        network = ENCODERS[config.encoder.name](front_end.n_mels, config.encoder.dim)
    # Short views have half the frames.
    least_frames = network.frame_stride * (2 if config.views.short else 1)
    reflected = front_end.n_fft // 2 + 1  # at each end
    least_samples = max(reflected, (least_frames - 1) * front_end.hop_samples)
    if config.unit_samples < least_samples:
        raise ValueError(
            f"data.unit_s must be at least {math.ceil(1000 * least_samples / rate) / 1000:g} for "
            f"this front end and {config.encoder.name}, not {config.data.unit_s:g}"
        )


def build_clip_module(config: PretrainConfig) -> ClipModule:
    """Batches of the run, for whatever device Lightning puts this process on."""
    return ClipModule(config, count_steps(config) * config.training.accumulate)


def build_trainer(config: PretrainConfig, resumed: bool = False) -> pl.Trainer:
    """Lightning's trainer with our logs, checkpoints and monitors.

    Loggers of a run that is `resumed` go on with what they began.

    Raises:
        ValueError: If sizes do not fit together, there are fewer clips than a batch, or the
            manifest of the monitor or some of its clips can't be used.
        ModuleNotFoundError: If a logger is asked for whose package is not installed.
    """
    check_sizes(config)
    training, world_size = config.training, count_devices(config) * config.training.nodes
    logs, n_steps, strategy = RunLogs(config, resumed), count_steps(config), "auto"
    if world_size > 1 and training.sync_batchnorm and not use_gpu(config):
        raise ValueError("training.sync_batchnorm needs GPUs: torch can't do it on a CPU")
    if training.cuda_graphs and (world_size > 1 or not use_gpu(config)):
        where = f"{world_size} processes" if use_gpu(config) else "a CPU"
        raise ValueError(f"training.cuda_graphs is for one GPU, not for {where}")
    if world_size > 1:
        # Each process keeps its own batch statistics and mixup memory: nothing is broadcast.
        strategy = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
    return pl.Trainer(
        accelerator=training.accelerator,
        devices=count_devices(config),
        num_nodes=training.nodes,
        strategy=strategy,
        sync_batchnorm=training.sync_batchnorm,
        max_steps=n_steps,
        deterministic=training.deterministic,
        # Batches of a run are of one size, so that it pays to look for the fastest convolutions.
        benchmark=use_gpu(config) and not training.deterministic,
        accumulate_grad_batches=training.accumulate,
        callbacks=[*_callbacks(config, world_size), logs],
        plugins=[CheckedCheckpointIO()],
        logger=list(logs.loggers.values()) or False,
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
    n_files = count_files(config)
    if n_files:
        callbacks.append(ListRejectedFiles(out_dir, n_files, config.data.max_rejected))
    callbacks.append(StopTogether(checkpoints))
    if config.monitor.manifest:
        rate = config.front_end.sample_rate
        score = nearest_neighbour_score(config.monitor.manifest, rate)
        scoring = ScoreDuringTraining(score, out_dir, config.monitor.every)
        # Before the checkpoint of its step: after a kill between the two, none would be made.
        callbacks.insert(callbacks.index(checkpoints), scoring)
    return callbacks


def nearest_neighbour_score(
    manifest_path: Path, sample_rate: int
) -> Callable[[Learner], dict[str, float]]:
    """Score of a learner's online encoder on a labelled manifest.

    All of it is checked now, by the process that scores: every clip is read once.

    Raises:
        ValueError: If the manifest or some of its clips can't be used; says which.
    """
    from byola_diff.embeddings.extract import ExtractionOptions, embed_clips
    from byola_diff.probing.nearest import judged_sides, nearest_neighbour_accuracy

    manifest = read_manifest(manifest_path)
    with located(f"{manifest_path}: "):
        judged_sides(manifest)
    rank_zero_only(check_readable)(manifest, sample_rate)

    def score(learner: Learner) -> dict[str, float]:
        encoder = online_encoder(learner)
        options = ExtractionOptions(device=learner.device, progress=False)
        with _any_length():
            embeddings = embed_clips(encoder, manifest, options=options)
        return {"knn/accuracy": nearest_neighbour_accuracy(embeddings, manifest)}

    return score


@contextmanager
def _any_length() -> Iterator[None]:
    """Within, cuDNN does not look for the fastest convolution anew for each length of clips."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def online_encoder(learner: Learner) -> AudioEncoder:
    """The encoder as it is now, for use: a copy, since it is frozen and the learner's must not be.

    On the device of the learner.
    """
    parts = learner.log_mel, learner.normalize, learner.pair.online.encoder
    return AudioEncoder(*copy.deepcopy(parts))


def count_steps(config: PretrainConfig) -> int:
    """Optimiser steps of the run; for one bounded by minutes, more than it can reach.

    Raises:
        TooManyRejectedError, UnreadableSourceError: If there are fewer clips than a batch, and too
            many of them can't be read.
        ValueError: If there are fewer clips than a batch, whatever bounds the run.
    """
    training = config.training
    # Counting clips needs no device: "meta" keeps a resident store on disk.
    source, world_size = open_source(config, "meta"), count_devices(config) * training.nodes
    per_epoch = 0
    if not source.endless:
        if source.n_files and source.n_clips < config.data.batch_size * world_size:
            # Where they can't be read, that is told rather than how few there are.
            source.batch(0, torch.arange(source.n_clips))
        per_epoch = steps_per_epoch(source.n_clips, config.data.batch_size, world_size)
    if training.steps is not None:
        return training.steps
    if training.minutes is not None:
        return UNBOUNDED_STEPS
    return max(per_epoch * training.epochs // training.accumulate, 1)
