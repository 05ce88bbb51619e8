"""Settings of a probe and of its training."""

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

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}")


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
