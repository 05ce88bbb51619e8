"""How probes are trained: the settings of one, the rules of all, and the published protocols."""

from dataclasses import dataclass
from typing import Literal

Initialisation = Literal["torch", "xavier_uniform", "xavier_normal"]


@dataclass(frozen=True)
class ProbeSettings:
    """One probe: its learning rate, its seed and its shape."""

    learning_rate: float
    seed: int
    hidden_layers: int = 0
    """0 for a linear probe."""
    hidden_dim: int = 1024
    dropout: float = 0.0
    initialisation: Initialisation = "torch"


@dataclass(frozen=True)
class TrainingRules:
    """How every probe of a protocol is trained."""

    batch_size: int = 200
    max_epochs: int = 200
    check_every: int = 1
    """Epochs between looks at the validation part."""
    patience: int = 20
    """Looks without improvement after which a probe stops."""
    later_wins: bool = True
    """Whether a look as good as the best one counts as an improvement."""
    weight_decay: float = 0.0
    """L2, added to the gradient, biases too."""
    shuffle: bool = True
    """Whether each epoch has an order of its own, or clips stay in the order they are given in."""
    divide_by_classes: bool = False
    """Cross-entropy divided by the number of classes, as EVAR does; of linear probes only."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_epochs", "check_every", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


LEARNING_RATES = tuple(round(10 ** (-5 + step / 4), 8) for step in range(13))
"""1e-5 to 1e-2, four to a decade: the range that Niizumi et al., 2022, tuned by hand in."""


@dataclass(frozen=True)
class LinearProtocol:
    """A linear layer on standardised embeddings, trained by Adam with early stopping."""

    name: str
    monitor: Literal["score", "loss"]
    """What early stopping and the choice of the learning rate look at, on validation clips."""
    learning_rates: tuple[float, ...] = LEARNING_RATES
    seeds: tuple[int, ...] = (42, 43, 44)
    valid_share: float = 0.1
    """Share of the training clips, where a task has no validation split of its own."""
    stratified: bool = False
    """Whether each class gives that share of its clips; else all clips are drawn from alike."""
    rules: TrainingRules = TrainingRules(weight_decay=1e-8, divide_by_classes=True)

    def __post_init__(self) -> None:
        for values in (self.learning_rates, self.seeds):
            if len(set(values)) < len(values):
                raise ValueError("a learning rate or seed is given twice")


EVAR = LinearProtocol("evar", monitor="score")
"""nttcslab/eval-audio-repr: best validation accuracy, or mAP, the later epoch on a tie."""

DIFF24 = LinearProtocol("diff24", monitor="loss")
"""Takeuchi et al., 2024, sections 5.2 and 5.4: the same with the lowest validation loss. That a
tenth of the training clips validates holds here, as in EVAR, where a task has no such split."""

BGKNOWN = LinearProtocol("bgknown", monitor="loss", learning_rates=(1e-3,), stratified=True)
"""Takeuchi et al., 2024, section 5.2. The rest of the training is that of EVAR, on which the paper
builds; that each class gives a tenth to validation is ours, the paper says only a tenth."""

PROTOCOLS = {protocol.name: protocol for protocol in (EVAR, DIFF24)}
"""The protocols for any task of clips and labels, by name."""
