"""Encoders by name: bundles and untrained baselines."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import Normalize, corpus_statistics
from byola_diff.data.manifest import Clip, Manifest
from byola_diff.evaluation.extract import read_clip
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import ENCODERS
from byola_diff.models.encoder import AudioEncoder
from byola_diff.randomness import derive_seed, torch_generator
from byola_diff.sounds import training_batch

UNTRAINED = "untrained:"

_STATISTICS_CLIPS = 1000


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder as it appears in tables and records."""

    name: str
    encoder: AudioEncoder
    content_hash: str
    """Of the weights, statistics and front end: two encoders of one hash give one score."""


def open_encoder(word: str, manifest: Manifest | None = None) -> NamedEncoder:
    """The encoder that `word` names.

    Args:
        word: A bundle folder; `untrained:BUNDLE`, random weights in the front end, statistics and
            architecture of a bundle; or `untrained:AudioNTT2022:3072`, random weights in the
            default front end. Both untrained forms may end in `:SEED`.
        manifest: For the statistics of `untrained:AudioNTT2022:3072`: of its training split, or of
            all clips if it has folds. Labels are not used. Without one, of procedural sounds.

    Raises:
        ValueError: If the word is malformed.
        FileNotFoundError: If there is no such bundle.
    """
    is_untrained = word.startswith(UNTRAINED)
    encoder = _untrained(word, manifest) if is_untrained else load_encoder(word)
    return NamedEncoder(word, encoder, content_hash(encoder))


def untrained_like(encoder: AudioEncoder, seed: int) -> AudioEncoder:
    """Random weights in the front end, statistics and architecture of `encoder`."""
    network = type(encoder.network)
    return _assemble(
        network.__name__, encoder.network.dim, seed, encoder.log_mel, encoder.normalize
    )


def manifest_statistics(
    manifest: Manifest, log_mel: LogMel, max_clips: int = _STATISTICS_CLIPS
) -> tuple[float, float]:
    """Mean and deviation of the log-mels of up to `max_clips` clips, drawn by a fixed seed.

    Of the training split; of all clips if the manifest has folds, or embeddings would have to be
    made anew for each fold.
    """
    clips: tuple[Clip, ...] = manifest.in_split("train") or manifest.clips
    order = torch.randperm(len(clips), generator=torch_generator("statistics clips"))
    chosen = [clips[number] for number in sorted(order[:max_clips].tolist())]
    waveforms = (read_clip(manifest, clip, log_mel.sample_rate) for clip in chosen)
    return corpus_statistics(
        log_mel(nn.functional.pad(wave, (0, max(0, log_mel.min_samples - len(wave))))[None])
        for wave in waveforms
    )


def _procedural_statistics(log_mel: LogMel) -> tuple[float, float]:
    batches = torch.arange(_STATISTICS_CLIPS).split(100)
    return corpus_statistics(
        log_mel(training_batch(0, batch, log_mel.sample_rate, log_mel.sample_rate))
        for batch in batches
    )


def content_hash(encoder: AudioEncoder) -> str:
    """Digest of all that an embedding depends on."""
    digest = hashlib.sha256(
        json.dumps(
            [type(encoder.network).__name__, encoder.log_mel.settings()], sort_keys=True
        ).encode()
    )
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _untrained(word: str, manifest: Manifest | None) -> AudioEncoder:
    parts = word.removeprefix(UNTRAINED).split(":")
    name = parts[0]
    if name not in ENCODERS:
        if not Path(name).exists():
            raise ValueError(
                f"{word!r}: {name!r} is neither a bundle nor one of {', '.join(ENCODERS)}"
            )
        return untrained_like(load_encoder(name), _whole(word, parts[1:], default=0))
    if len(parts) < 2:
        raise ValueError(f"{word!r} lacks a width, as in {UNTRAINED}{name}:2048")
    log_mel = LogMel()
    normalize = Normalize(
        *(manifest_statistics(manifest, log_mel) if manifest else _procedural_statistics(log_mel))
    )
    dim, seed = _whole(word, parts[1:2], default=0), _whole(word, parts[2:], default=0)
    return _assemble(name, dim, seed, log_mel, normalize)


def _assemble(
    name: str, dim: int, seed: int, log_mel: LogMel, normalize: Normalize
) -> AudioEncoder:
    # Modules draw their weights from the global generator: seeded here, and left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        network = ENCODERS[name](log_mel.n_mels, dim)
    return AudioEncoder(log_mel, normalize, network)


def _whole(word: str, parts: list[str], default: int) -> int:
    if not parts:
        return default
    if len(parts) > 1 or not parts[0].isdecimal():
        raise ValueError(f"{word!r}: expected one whole number, not {':'.join(parts)!r}")
    return int(parts[0])
