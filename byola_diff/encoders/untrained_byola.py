"""BYOL-A networks with random weights: baselines for what pretraining adds."""

import torch

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize, corpus_statistics
from byola_diff.encoders.manifest_statistics import Corpus, log_mel_statistics
from byola_diff.encoders.weights_file import seeded_network
from byola_diff.models.cnn import ENCODERS, AudioNTT
from byola_diff.models.encoder import AudioEncoder
from byola_diff.sounds import training_batch

_STATISTICS_CLIPS = 1000


def untrained_like(encoder: AudioEncoder, seed: int) -> AudioEncoder:
    """Random weights in the front end, statistics and architecture of `encoder`."""
    name = type(encoder.network).__name__
    network = _network(name, encoder.log_mel, encoder.network.dim, seed)
    return AudioEncoder(encoder.log_mel, encoder.normalize, network)


def untrained_network(name: str, dim: int, seed: int, corpus: Corpus | None = None) -> AudioEncoder:
    """Random weights in one of `ENCODERS` behind the default front end.

    Args:
        name: Of the architecture.
        dim: Width of its embeddings.
        seed: Of the weights.
        corpus: For the statistics. Without one they are those of procedural sounds.

    Raises:
        ValueError: If the architecture can't be of that width.
    """
    log_mel = LogMel()
    try:
        network = _network(name, log_mel, dim, seed)
    except ValueError as error:
        raise ValueError(
            f"untrained:{name}:{dim}: the number is the dimension (dim) of the embeddings of "
            f"{name}: {error}"
        ) from None
    mean, std = log_mel_statistics(corpus, log_mel) if corpus else _procedural_statistics(log_mel)
    return AudioEncoder(log_mel, Normalize(mean, std), network)


def _procedural_statistics(log_mel: LogMel) -> tuple[float, float]:
    batches = torch.arange(_STATISTICS_CLIPS).split(100)
    return corpus_statistics(
        log_mel(training_batch(0, batch, log_mel.sample_rate, log_mel.sample_rate))
        for batch in batches
    )


def _network(name: str, log_mel: LogMel, dim: int, seed: int) -> AudioNTT:
    return seeded_network(lambda: ENCODERS[name](log_mel.n_mels, dim), seed)
