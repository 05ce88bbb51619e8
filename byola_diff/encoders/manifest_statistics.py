"""Normalisation statistics for encoders that come without: of the task that they are evaluated on.

As in EVAR they are those of the stretches that are embedded: same crops, same zeros on the right.
Labels are not used.

Source:
    Niizumi et al., EVAR, https://github.com/nttcslab/eval-audio-repr, evar/ar_base.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from byola_diff.audio.log_mel import LogMel
from byola_diff.audio.normalize import corpus_statistics
from byola_diff.randomness import torch_generator
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.preprocessing import Preprocessing
from byola_diff.tables.reading import read_clip

MAX_CLIPS = 5000
"""EVAR stops at the first batch that reaches so many."""

Moments = tuple[float, float]
"""Mean and deviation."""


@dataclass
class Corpus:
    """A task, cut as for its embeddings; or the statistics that encoders once took of one."""

    manifest: Manifest
    preprocessing: Preprocessing
    asked_for: bool = False
    """Whether the loader of an encoder was given it."""
    known: Sequence[Moments] | None = None
    """To be taken, in the order in which they were asked for, instead of reading any clip."""
    taken: list[Moments] = field(default_factory=list)
    """What encoders were given, in order."""


def log_mel_moments(corpus: Corpus, log_mel: LogMel) -> Moments:
    """Mean and deviation of the log-mels of up to `MAX_CLIPS` training clips."""

    def padded(waveform: Tensor) -> Tensor:
        missing = max(0, log_mel.min_samples - waveform.shape[-1])
        return log_mel(nn.functional.pad(waveform, (0, missing)))

    return feature_moments(corpus, log_mel.sample_rate, padded)


def feature_moments(
    corpus: Corpus,
    sample_rate: int,
    features: Callable[[Float[Tensor, "1 sample"]], Float[Tensor, "1 1 mel frame"]],
) -> Moments:
    """Mean and population deviation of what a front end makes of the training clips.

    Those are the training split, or all clips but the first fold where there are folds only: the
    training part of the first fold, for every fold, as in EVAR, where one encoder embeds them all.
    A little is seen of the other folds' test clips. A manifest that has neither gives all its
    clips. Up to `MAX_CLIPS` are drawn by a fixed seed.

    The front end `features` takes clips of any length at its own `sample_rate`.

    Raises:
        AudioFileError: If a file can't be read.
        ValueError: If all values are equal, as of silence, or more is asked than is known.
    """
    manifest, folds = corpus.manifest, corpus.manifest.folds
    if corpus.known is None:
        not_held_out = tuple(clip for clip in manifest.clips if folds and clip.fold != folds[0])
        clips = manifest.in_split("train") or not_held_out or manifest.clips
        order = torch.randperm(len(clips), generator=torch_generator("statistics clips"))
        moments = corpus_statistics(
            features(read_clip(manifest, clips[number], sample_rate, corpus.preprocessing)[None])
            for number in sorted(order[:MAX_CLIPS].tolist())
        )
    elif len(corpus.taken) < len(corpus.known):
        moments = corpus.known[len(corpus.taken)]
    else:
        raise ValueError("the encoder asks for more statistics than were kept of its task")
    corpus.taken.append(moments)
    return moments
