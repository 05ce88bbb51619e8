"""The published protocols of linear evaluation."""

from dataclasses import dataclass, field
from typing import Literal

from byola_diff.probing.settings import TrainingRules

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
    """Of the training clips, where a task has no validation split of its own."""
    stratified: bool = False
    """Whether each class gives that share of its clips; else all clips are drawn from alike."""
    rules: TrainingRules = field(
        default_factory=lambda: TrainingRules(
            batch_size=200,
            max_epochs=200,
            patience=20,
            later_wins=True,
            weight_decay=1e-8,
            divide_by_classes=True,
        )
    )

    def __post_init__(self) -> None:
        if not self.learning_rates or not self.seeds:
            raise ValueError("a protocol needs a learning rate and a seed")
        if not 0 < self.valid_share < 1:
            raise ValueError(f"valid_share must lie between 0 and 1, not {self.valid_share}")


EVAR = LinearProtocol("evar", monitor="score")
"""nttcslab/eval-audio-repr: best validation accuracy, or mAP, the later epoch on a tie."""

DIFF24 = LinearProtocol("diff24", monitor="loss")
"""Takeuchi et al., 2024, sections 5.2 and 5.4: the same with the lowest validation loss. That a
tenth of the training clips validates holds here, as in EVAR, where a task has no such split."""

BGKNOWN = LinearProtocol("bgknown", monitor="loss", learning_rates=(1e-3,), stratified=True)
"""Takeuchi et al., 2024, section 5.2. The rest of the training is that of EVAR, on which the paper
builds; that each class gives a tenth to validation is ours, the paper says only a tenth."""

PROTOCOLS = {protocol.name: protocol for protocol in (EVAR, DIFF24)}
"""Those for any task of clips and labels."""
