"""Training clips: their sources, their order and their crops."""

from byola_diff.clips.folder import FolderSource
from byola_diff.clips.mixture import MixedSource
from byola_diff.clips.open import open_source
from byola_diff.clips.order import batch_indices, steps_per_epoch
from byola_diff.clips.procedural import ProceduralSource
from byola_diff.clips.rejected import Rejection, RejectionLog, TooManyRejectedError
from byola_diff.clips.source import ClipSource
from byola_diff.clips.stored import PackedSource, ResidentSource, StoreTooLargeError

__all__ = [
    "ClipSource",
    "FolderSource",
    "MixedSource",
    "PackedSource",
    "ProceduralSource",
    "Rejection",
    "RejectionLog",
    "ResidentSource",
    "StoreTooLargeError",
    "TooManyRejectedError",
    "batch_indices",
    "open_source",
    "steps_per_epoch",
]
