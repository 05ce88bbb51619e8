"""The configuration of a pretraining run: frozen, typed, checked when made, plain values only."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal


def _require(holds: bool, key: str, rule: str, value: Any) -> None:
    if not holds:
        raise ValueError(f"{key} must be {rule}, not {value}")


def _expand_home(group: Any, name: str) -> None:
    """Put the home folder in place of a `~` at the start of a path, as no shell does in a file."""
    value = getattr(group, name)
    if str(value).startswith("~"):  # a URL is left as it is
        object.__setattr__(group, name, Path(value).expanduser())


def _require_at_least(least: int, group: object, prefix: str, *names: str) -> None:
    """Refuse values of these fields below `least`; None is none."""
    for name in names:
        value = getattr(group, name)
        _require(value is None or value >= least, f"{prefix}.{name}", f"at least {least}", value)


@dataclass(frozen=True, kw_only=True)
class FrontEndConfig:
    """Waveform to log-mel."""

    sample_rate: int = 16_000
    """Hz. Audio at another rate is resampled once, when it is read or packed."""
    window_samples: int = 1024
    """Length of the Hann window."""
    n_fft: int = 1024
    """Length of the Fourier transform."""
    hop_samples: int = 160
    """Samples from one frame to the next."""
    n_mels: int = 64
    """Mel bands."""
    f_min_hz: float = 60.0
    """Lower end of the lowest mel band."""
    f_max_hz: float = 7800.0
    """Upper end of the highest mel band."""
    backend: Literal["fft", "nnaudio"] = "fft"
    """How it is computed: "nnaudio" is the slower reference."""

    def __post_init__(self) -> None:
        sizes = ("sample_rate", "window_samples", "n_fft", "hop_samples", "n_mels")
        _require_at_least(1, self, "front_end", *sizes)


SourceKind = Literal["folder", "packed", "resident", "procedural", "shards"]


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """One of several sources that training clips are mixed from."""

    source: SourceKind
    """Kind of the source, as in `data.source`."""
    root: str | Path | None = None
    """Where its audio is, as in `data.root`."""
    share: float
    """Share of the clips that come from it, to 0.1 %."""

    def __post_init__(self) -> None:
        _expand_home(self, "root")
        _check_root(self.source, self.root, "data.sources: ")
        _require(0.001 <= self.share <= 1, "data.sources: a share", "in [0.001, 1]", self.share)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where training clips come from."""

    source: SourceKind = "folder"
    """What clips are read from, or made by. A folder of audio is decoded as needed; a packed store
    is read from disk, or held on the device (resident); tar shards of audio are read in sequence;
    procedural sounds take no `root`."""
    root: str | Path | None = None  # a `Path` keeps but one of the two slashes of a URL
    """Folder of the audio or of the packed store. Of shards a folder, or a path or URL with braces,
    such as `s3://mine/part-{0000..0099}.tar`."""
    sources: tuple[SourceConfig, ...] = ()
    """Several sources mixed at stated shares, in place of `source` and `root`, such as
    `[{source: packed, root: packed/mine, share: 0.7}, {source: procedural, share: 0.3}]`."""
    unit_s: float = 0.95
    """Length of a training clip in seconds."""
    batch_size: int = 256
    """Clips per process."""
    num_workers: int | Literal["auto"] = "auto"
    """Loader processes of each process that trains. "auto" is up to 4, as there are cores, and none
    where one or two cores train. A resident store takes none, and with 0, which "auto" never is for
    them, procedural sounds are made on the device. Tar shards are divided as among as many, with
    "auto" as among 4."""
    resident_split: bool = False
    """Whether the processes of a run divide a resident store among them, each of which then passes
    through its own clips; if not, each device holds the whole."""
    max_rejected: float = 0.05
    """Share of unreadable files above which the run stops."""
    procedural_moved: float = 0.0
    """Where above 0, the second view of a procedural clip is of another rendering, with every
    parameter moved by a normal draw of this deviation, as a share of its range."""
    statistics_clips: int = 10_000
    """Random crops from which the mean and deviation of the corpus are computed; no more than
    there are clips, but for procedural and mixed sources."""

    def __post_init__(self) -> None:
        _expand_home(self, "root")
        if not self.sources:
            _check_root(self.source, self.root, "data.")
        elif self.root is not None or self.source != "folder":
            raise ValueError("data.sources stands in place of data.source and data.root: give one")
        elif abs((total := sum(part.share for part in self.sources)) - 1) > 5e-4:
            raise ValueError(f"the shares of data.sources must add up to 1, not {total:g}")
        if self.resident_split and self.source != "resident":
            raise ValueError("data.resident_split is for data.source resident, of one store")
        if self.batch_size < 2:
            raise ValueError("data.batch_size must be at least 2: batch normalisation needs it")
        if self.statistics_clips < 1 or self.unit_s <= 0:
            raise ValueError("data.statistics_clips and data.unit_s must be positive")
        any_workers = self.num_workers == "auto" or self.num_workers >= 0
        _require(any_workers, "data.num_workers", "at least 0 or 'auto'", self.num_workers)
        _require_at_least(0, self, "data", "procedural_moved")
        _require(0 <= self.max_rejected <= 1, "data.max_rejected", "in [0, 1]", self.max_rejected)


def _check_root(source: SourceKind, root: str | Path | None, prefix: str) -> None:
    if (root is None) != (source == "procedural"):
        needs = "takes no" if source == "procedural" else "needs"
        raise ValueError(f"{prefix}source '{source}' {needs} {prefix.removesuffix(': ')}root")


@dataclass(frozen=True, kw_only=True)
class ViewsConfig:
    """Augmentations."""

    mixup_share: float = 0.2
    """Largest share of the other clip; 0.4 in BYOL-A v1."""
    mixup_memory: int = 2048
    """Clips seen last, on each process, of which one is mixed in."""
    mixup_memory_batches: int | None = None
    """The same in batches, in place of `mixup_memory`: how old a clip gets then does not depend on
    the batch size."""
    fader_gain: float = 1.0
    """0 leaves the fader out, as in BYOL-A v1."""
    crop_mel_scale: tuple[float, float] = (0.6, 1.5)
    """Range of the heights of crops, as shares of all mel bands. A crop stretched to all of them
    moves every pitch; 1 to 1 leaves them where they are."""
    short: int = 0
    """Further views of half the length, each of which predicts the mean of both targets."""

    def __post_init__(self) -> None:
        _require(0 <= self.mixup_share < 1, "views.mixup_share", "in [0, 1)", self.mixup_share)
        low, high = self.crop_mel_scale
        _require(0 < low <= high, "views.crop_mel_scale", "a positive range", self.crop_mel_scale)
        _require_at_least(0, self, "views", "short")
        _require_at_least(1, self, "views", "mixup_memory", "mixup_memory_batches")
        _require_at_least(0, self, "views", "fader_gain")

    def memory_clips(self, batch_size: int) -> int:
        """Clips that the memory of a process holds."""
        batches = self.mixup_memory_batches
        return self.mixup_memory if batches is None else batches * batch_size


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The network that is kept."""

    name: Literal["AudioNTT2020", "AudioNTT2022"] = "AudioNTT2022"
    """Network of BYOL-A v1 or v2."""
    dim: int = 3072
    """Length of an embedding."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """The loss, which `byola_diff.training.objective` computes."""

    difference_weight: float = 0.5
    """Share of the difference term, in [0, 1]. 0 is BYOL-A."""
    rate_range: tuple[float, float] = (0.4, 0.6)
    """Range of the neighbour's share in the mixture, drawn per clip."""
    symmetric: bool = True
    """Whether the second view gives a difference term too; if not, the first alone does."""
    detach_reference: bool = False
    """Whether the subtracted representation is held constant."""
    renormalize_mixture: bool = False
    """Whether the mixture is brought to zero mean and unit deviation over the batch."""
    running_statistics: Literal["views", "all"] = "views"
    """What the running statistics of the encoder's batch normalisation, which are used after
    training, are of: the views, or "all" that it encodes, mixtures too, as in the published code.
    """
    mixture_domain: Literal["normalized", "power"] = "normalized"
    """What is added in a mixture: exp of the normalised log-mels, as published, or the powers that
    they stand for, as where two sounds are heard at once."""
    sum_weight: float = 0.0
    """Weight of the sum term, which is added to the others; 0 leaves it out."""
    sum_space: Literal["projection", "representation"] = "projection"
    """Where mixtures are compared with sums: projections, or representations as they are."""
    variance_weight: float = 0.0
    """Weight of the variance and covariance terms of VICReg on projections; 0 leaves them out."""

    def __post_init__(self) -> None:
        weight, (low, high) = self.difference_weight, self.rate_range
        _require(0 <= weight <= 1, "objective.difference_weight", "in [0, 1]", weight)
        for name in ("sum_weight", "variance_weight"):
            value = getattr(self, name)
            _require(0 <= value < float("inf"), f"objective.{name}", "0 or more", value)
        _require(0 < low <= high < 1, "objective.rate_range", "within (0, 1)", self.rate_range)


LoggerName = Literal["tensorboard", "csv", "wandb", "mlflow", "none"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The run."""

    lr: float = 1e-3
    """Learning rate of Adam."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the learning rate changes; the published runs hold it constant."""
    warmup_share: float = 0.05
    """Share of the run in which the rate of the cosine schedule rises."""
    ema_decay: float = 0.99
    """What the target keeps of its weights at each step, in [0, 1]."""
    ema_schedule: Literal["constant", "cosine"] = "constant"
    """How that changes: "cosine" rises from `ema_decay` to 1 at the last step, as in BYOL."""
    weight_decay: float = 0.0
    """Share of the weights that AdamW takes away at a learning rate of 1; 0 is Adam. Not of biases
    and batch normalisation."""
    epochs: int = 100
    """Passes over the clips. Not used where `steps` or `minutes` is given."""
    steps: int | None = None
    """Optimiser steps, in place of epochs. These or `minutes` are needed for procedural, sharded
    and mixed sources, which never end."""
    minutes: float | None = None
    """Time for all steps, in place of `steps`. The schedule follows the clock and ends with it, so
    two runs are not the same to the bit."""
    accumulate: int = 1
    """Batches per optimiser step."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """"auto" takes bfloat16 where the hardware computes it, and float32 elsewhere."""
    projection_hidden: int = 4096
    """Hidden units of projector and predictors."""
    projection_dim: int = 256
    """Length of projections."""
    accelerator: str = "auto"
    """"cpu", "gpu", or "auto": a GPU if there is one."""
    devices: int | Literal["auto"] = "auto"
    """Processes on each node. "auto" is one for each GPU, or one on a CPU."""
    nodes: int = 1
    """Machines."""
    compile: bool = False
    """Whether `torch.compile` fuses the operations of the encoders in a step, for GPUs; not with
    `sync_batchnorm`. On a CPU the package has fused operations of its own."""
    cuda_graphs: bool = False
    """Whether the passes of the networks in a step are recorded once and launched as a whole: for
    small batches, whose operations take longer to launch than to run. On one GPU, not with
    `accumulate`."""
    deterministic: bool = False
    """Only operations that give the same bits each time, at some cost of speed on a GPU."""
    sync_batchnorm: bool = False
    """Whether views and batch normalisation share their statistics among the processes, on GPUs;
    off, as in the published code: each process normalises by its own batch."""
    log_every: int = 10
    """Steps between rows of the log."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; the last step always leaves one."""
    keep_checkpoints: int = 2
    """Newest checkpoints that are kept."""
    logger: LoggerName | tuple[LoggerName, ...] = "csv"
    """Where the log goes: tensorboard, csv, wandb, mlflow, none, or several as `[csv, wandb]`.
    "csv" is `metrics.csv`, which every run has, and "none" nothing else."""

    def __post_init__(self) -> None:
        _require(0 <= self.ema_decay <= 1, "training.ema_decay", "in [0, 1]", self.ema_decay)
        _require(0 < self.lr < float("inf"), "training.lr", "positive", self.lr)
        _require_at_least(0, self, "training", "weight_decay")
        counts = ("epochs", "steps", "accumulate", "nodes", "projection_hidden", "projection_dim")
        intervals = ("log_every", "checkpoint_every", "keep_checkpoints")
        _require_at_least(1, self, "training", *counts, *intervals)
        is_time = self.minutes is None or 0 < self.minutes < float("inf")
        _require(is_time, "training.minutes", "positive", self.minutes)
        if self.steps is not None and self.minutes is not None:
            raise ValueError(
                f"training.steps ({self.steps}) and training.minutes ({self.minutes:g}) both bound "
                "the run: give one, and null for the other, as in --training.steps null"
            )
        if self.compile and self.sync_batchnorm:
            raise ValueError(
                "training.compile can't fuse what training.sync_batchnorm sends to other "
                "processes: leave one of them out"
            )
        if self.cuda_graphs and self.accumulate > 1:
            raise ValueError(
                "training.cuda_graphs writes the gradients of each batch over those before: it "
                "needs training.accumulate 1"
            )
        share, devices = self.warmup_share, self.devices
        _require(0 < share <= 1, "training.warmup_share", "in (0, 1]", share)
        any_devices = devices == "auto" or devices >= 1
        _require(any_devices, "training.devices", "at least 1 or 'auto'", devices)
        names = (self.logger,) if isinstance(self.logger, str) else self.logger
        is_plain = len({*names}) == len(names) > 0 and ("none" not in names or len(names) == 1)
        rule = "one or several loggers, each once, or 'none'"
        _require(is_plain, "training.logger", rule, self.logger)

    @property
    def trackers(self) -> tuple[LoggerName, ...]:
        """The loggers that write something beside `metrics.csv`, in their order."""
        names = (self.logger,) if isinstance(self.logger, str) else self.logger
        return tuple(name for name in names if name not in ("csv", "none"))


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """A nearest-neighbour score during training, on labelled clips that are not trained on."""

    manifest: Path | None = None
    """Labelled manifest with splits or folds. None, no score."""
    every: int = 1000
    """Steps between scores."""

    def __post_init__(self) -> None:
        _expand_home(self, "manifest")
        _require_at_least(1, self, "monitor", "every")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Everything that a run depends on."""

    out_dir: Path = Path("runs/pretrain")
    """Takes the resolved configuration, logs and checkpoints."""
    seed: int = 42
    """Seed of all draws."""
    init_from: str | None = None
    """Encoder to start from, in place of random weights. A bundle folder, `hf:OWNER/NAME` on the
    Hugging Face hub, a `.pth` of BYOL-A, or the name of a shipped one (a folder of such a name is
    `./NAME`). Its network goes before `encoder`, and the front end and statistics of a bundle
    before `front_end` and those of the clips. Projector and predictors are new."""
    front_end: FrontEndConfig = field(default_factory=FrontEndConfig)
    data: DataConfig
    views: ViewsConfig = field(default_factory=ViewsConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)

    def __post_init__(self) -> None:
        _expand_home(self, "out_dir")
        bounded = self.training.steps is not None or self.training.minutes is not None
        if (self.data.sources or self.data.source in ("procedural", "shards")) and not bounded:
            raise ValueError(
                "procedural, mixed and sharded sources never end: give training.steps or "
                "training.minutes"
            )

    @property
    def unit_samples(self) -> int:
        """Samples of a training clip."""
        return round(self.data.unit_s * self.front_end.sample_rate)

    @property
    def unit_frames(self) -> int:
        """Frames of its log-mel."""
        return 1 + self.unit_samples // self.front_end.hop_samples


def to_plain(config: PretrainConfig) -> dict[str, Any]:
    """The configuration as nested dictionaries of numbers, strings and lists."""
    return json.loads(json.dumps(asdict(config), default=str))
