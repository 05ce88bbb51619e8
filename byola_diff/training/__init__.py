"""Pretraining: views, objective, learner, checkpoints and monitors."""

from byola_diff.training.checkpoints import KeepCheckpoints
from byola_diff.training.clip_module import ClipModule
from byola_diff.training.learner import Learner
from byola_diff.training.monitors import DivergedError
from byola_diff.training.objective import Objective
from byola_diff.training.run_identity import OtherRunError, find_checkpoint, statistics_of_run
from byola_diff.training.views import ViewMaker

__all__ = [
    "ClipModule",
    "DivergedError",
    "KeepCheckpoints",
    "Learner",
    "Objective",
    "OtherRunError",
    "ViewMaker",
    "find_checkpoint",
    "statistics_of_run",
]
