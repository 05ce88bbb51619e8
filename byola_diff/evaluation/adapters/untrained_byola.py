"""BYOL-A networks with random weights: baselines for what pretraining adds."""

import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize, corpus_statistics
from byola_diff.evaluation.adapters.seeded_network import seeded_network
from byola_diff.evaluation.encoders.manifest_statistics import Corpus, log_mel_statistics
from byola_diff.models.cnn import ENCODERS
from byola_diff.models.encoder import AudioEncoder
from byola_diff.sounds import training_batch

_STATISTICS_CLIPS = 1000


def untrained_like(encoder: AudioEncoder, seed: int) -> AudioEncoder:
    """Random weights in the front end, statistics and architecture of `encoder`."""
    network = type(encoder.network)
    return _assemble(
        network.__name__, encoder.network.dim, seed, encoder.log_mel, encoder.normalize
    )


def untrained_network(name: str, dim: int, seed: int, corpus: Corpus | None = None) -> AudioEncoder:
    """Random weights in one of `ENCODERS` behind the default front end.

    Args:
        name: Of the architecture.
        dim: Width of its embeddings.
        seed: Of the weights.
        corpus: For the statistics. Without one they are those of procedural sounds.
    """
    log_mel = LogMel()
    mean, std = log_mel_statistics(corpus, log_mel) if corpus else _procedural_statistics(log_mel)
    return _assemble(name, dim, seed, log_mel, Normalize(mean, std))


def _procedural_statistics(log_mel: LogMel) -> tuple[float, float]:
    batches = torch.arange(_STATISTICS_CLIPS).split(100)
    return corpus_statistics(
        log_mel(training_batch(0, batch, log_mel.sample_rate, log_mel.sample_rate))
        for batch in batches
    )


def _assemble(
    name: str, dim: int, seed: int, log_mel: LogMel, normalize: Normalize
) -> AudioEncoder:
    network = seeded_network(lambda: ENCODERS[name](log_mel.n_mels, dim), seed)
    return AudioEncoder(log_mel, normalize, network)
