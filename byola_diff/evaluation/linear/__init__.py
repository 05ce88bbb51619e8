"""Linear evaluation: probes on embeddings, layers, fused layers and ensembles of any task."""

from byola_diff.evaluation.linear.run import LinearRun, linear_run
from byola_diff.evaluation.linear.steps import (
    Step,
    StepsOf,
    ensemble_steps,
    fusion_steps,
    layer_steps,
    scene_steps,
)

__all__ = [
    "LinearRun",
    "Step",
    "StepsOf",
    "ensemble_steps",
    "fusion_steps",
    "layer_steps",
    "linear_run",
    "scene_steps",
]
