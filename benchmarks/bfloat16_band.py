"""How far bfloat16 training strays from float32 over 50 steps: losses, and embeddings at the end.

    python benchmarks/bfloat16_band.py

Both runs have the same weights, clips, views and dropout. For scale, a third run in float32 has
other dropout masks and nothing else that differs: chance moves a run by that much anyway.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from byola_diff.allocator import keep_freed_memory
from byola_diff.build import build_learner
from byola_diff.config import (
    DataConfig,
    EncoderConfig,
    FrontEndConfig,
    PretrainConfig,
    TrainingConfig,
)
from byola_diff.models.pair import update_target
from byola_diff.models.pooling import mean_max_pool
from byola_diff.randomness import torch_generator
from byola_diff.sounds import training_batch

STATISTICS = (-10.9, 4.3)
UNIT_SAMPLES, SAMPLE_RATE = 15_200, 16_000


def train(config: PretrainConfig, n_steps: int, dropout_seed: int) -> tuple[Tensor, Tensor]:
    """Loss of every step [step], and online embeddings [clip, dim] of clips not trained on."""
    learner = build_learner(config, STATISTICS)
    optimizer = learner.configure_optimizers()
    batch, losses = config.data.batch_size, []
    for step in range(n_steps):
        torch.manual_seed(dropout_seed + step)
        generator = torch_generator("band", step)
        clips = torch.arange(step * batch, (step + 1) * batch)
        waveform = training_batch(0, clips, UNIT_SAMPLES, SAMPLE_RATE)
        with torch.no_grad():
            log_mel = learner.normalize(learner.log_mel(waveform))
            first, second = learner.make_views(log_mel, generator)
        loss = learner.loss_terms(first, second, generator)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_target(learner.pair.online, learner.pair.target, config.training.ema_decay)
        losses.append(loss.detach())
    learner.eval()
    unseen = training_batch(1, torch.arange(64), UNIT_SAMPLES, SAMPLE_RATE)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=learner.uses_bfloat16):
        frames = learner.pair.online.encoder(learner.normalize(learner.log_mel(unseen)))
    return torch.stack(losses), mean_max_pool(frames.float())


def main() -> None:
    """Train three times, print the distances."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--encoder", default="AudioNTT2020", choices=["AudioNTT2020", "AudioNTT2022"]
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    keep_freed_memory()
    float32 = PretrainConfig(
        front_end=FrontEndConfig(window_samples=400, n_fft=400, f_min_hz=50, f_max_hz=8000),
        data=DataConfig(source="procedural", batch_size=options.batch, num_workers=0),
        encoder=EncoderConfig(
            name=options.encoder, dim=512 if options.encoder == "AudioNTT2020" else 3072
        ),
        training=TrainingConfig(steps=options.steps, precision="float32", projection_hidden=1024),
    )
    bfloat16 = dataclasses.replace(
        float32, training=dataclasses.replace(float32.training, precision="bfloat16")
    )
    reference = train(float32, options.steps, dropout_seed=0)
    others = {
        "bfloat16": train(bfloat16, options.steps, dropout_seed=0),
        "float32, other dropout": train(float32, options.steps, dropout_seed=10_000),
    }
    print(f"distance to float32 over {options.steps} steps of {options.batch} clips:")
    print(f"{'':26}{'loss, mean':>12}{'loss, max':>12}{'cosine, mean':>14}{'cosine, min':>13}")
    figures = {}
    for name, run in others.items():
        figures[name] = distances(reference, run)
        mean, most, cosine, least = figures[name].values()
        print(f"{name:26}{mean:12.4f}{most:12.4f}{cosine:14.4f}{least:13.4f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def distances(reference: tuple[Tensor, Tensor], run: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Absolute differences of the losses, and cosines of the embeddings centred over the clips."""
    loss = (reference[0] - run[0]).abs()
    first, second = (embeddings - embeddings.mean(0) for embeddings in (reference[1], run[1]))
    cosine = cosine_similarity(first, second, dim=1)
    return {
        "loss_mean": loss.mean().item(),
        "loss_max": loss.max().item(),
        "cosine_mean": cosine.mean().item(),
        "cosine_min": cosine.min().item(),
    }


if __name__ == "__main__":
    main()
