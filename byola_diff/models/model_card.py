"""Model card of a bundle, written from its configuration alone."""

import json
from collections.abc import Mapping
from typing import Any


def model_card(name: str, config: Mapping[str, Any]) -> str:
    """Markdown text for the README of the bundle `name` with that `config`."""
    encoder, front_end, statistics = config["encoder"], config["front_end"], config["statistics"]
    weight = config["training"].get("objective", {}).get("difference_weight")
    return _TEMPLATE.format(
        name=name,
        encoder=encoder["name"],
        dim=encoder["dim"],
        spacing_ms=config["frame_spacing_ms"],
        method="BYOL-A with the difference loss" if weight else "BYOL-A",
        weight="not stated" if weight is None else weight,
        mean=statistics["mean"],
        std=statistics["std"],
        steps="not stated" if config["steps"] is None else config["steps"],
        data=config["data"],
        licence=config["licence"],
        commit=config["commit"] or "not recorded",
        **{key: front_end[key] for key in _FRONT_END_KEYS},
        training=json.dumps(config["training"], indent=2),
    )


_FRONT_END_KEYS = ("sample_rate", "window_samples", "hop_samples", "n_mels", "f_min_hz", "f_max_hz")

_TEMPLATE = """\
# {name}

{encoder}, {dim} dimensions, trained with {method}: a general-purpose audio encoder for log-mels.

## Usage

```python
import torch, byola_diff
encoder = byola_diff.load_encoder("{name}")  # this folder
waveform = torch.rand(2, 5 * encoder.sample_rate) * 2 - 1  # [batch, sample] at {sample_rate} Hz
clips = encoder.scene(waveform)  # [2, {dim}]
frames, centers_ms = encoder.timestamps(waveform)  # one embedding every {spacing_ms:g} ms
```

It takes mono sound at {sample_rate} Hz in [-1, 1], of any length; resample before.

## Training

| | |
|---|---|
| training data | {data} |
| steps | {steps} |
| difference weight | {weight} |
| log-mel mean, standard deviation | {mean:.6g}, {std:.6g} (applied inside) |
| window, hop | {window_samples}, {hop_samples} samples |
| mel bands | {n_mels}, {f_min_hz:g} to {f_max_hz:g} Hz |
| licence of the weights | {licence} |
| commit | {commit} |

## Intended use

Frozen features for classification, detection, retrieval and the comparison of sounds. Not for
identifying people, nor for decisions that need guarantees.

## Not evaluated

No score comes with these files: evaluate on your task before relying on them. Robustness to codecs,
rooms and microphones, and fairness across speakers and languages, were not measured.

## Configuration

```json
{training}
```
"""
