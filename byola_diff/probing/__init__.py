"""What can be read off frozen embeddings: probes, nearest neighbours, and their metrics."""

from byola_diff.probing.logistic import probe_manifest
from byola_diff.probing.metrics import (
    accuracy,
    auc_roc,
    chroma_accuracy,
    d_prime,
    mean_average_precision,
)
from byola_diff.probing.nearest import nearest_accuracy, nearest_neighbour_accuracy
from byola_diff.probing.parts import Part, manifest_targets, probe_parts
from byola_diff.probing.protocols import (
    BGKNOWN,
    DIFF24,
    EVAR,
    PROTOCOLS,
    LinearProtocol,
    ProbeSettings,
    TrainingRules,
)
from byola_diff.probing.task import ProbeResult, probe_task
from byola_diff.probing.trainer import TrainedProbe, train_probes

__all__ = [
    "BGKNOWN",
    "DIFF24",
    "EVAR",
    "PROTOCOLS",
    "LinearProtocol",
    "Part",
    "ProbeResult",
    "ProbeSettings",
    "TrainedProbe",
    "TrainingRules",
    "accuracy",
    "auc_roc",
    "chroma_accuracy",
    "d_prime",
    "manifest_targets",
    "mean_average_precision",
    "nearest_accuracy",
    "nearest_neighbour_accuracy",
    "probe_manifest",
    "probe_parts",
    "probe_task",
    "train_probes",
]
