"""Normalisation statistics for encoders that come without: of the clips of a manifest."""

import torch
from torch import nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import corpus_statistics
from byola_diff.data.manifest import Clip, Manifest
from byola_diff.evaluation.reading import read_clip
from byola_diff.randomness import torch_generator


def manifest_statistics(
    manifest: Manifest, log_mel: LogMel, max_clips: int = 1000
) -> tuple[float, float]:
    """Mean and deviation of the log-mels of up to `max_clips` clips, drawn by a fixed seed.

    Of the training split; of all clips if the manifest has folds, or embeddings would have to be
    made anew for each fold. Labels are not used.
    """
    clips: tuple[Clip, ...] = manifest.in_split("train") or manifest.clips
    order = torch.randperm(len(clips), generator=torch_generator("statistics clips"))
    chosen = [clips[number] for number in sorted(order[:max_clips].tolist())]
    waveforms = (read_clip(manifest, clip, log_mel.sample_rate) for clip in chosen)
    return corpus_statistics(
        log_mel(nn.functional.pad(wave, (0, max(0, log_mel.min_samples - len(wave))))[None])
        for wave in waveforms
    )
