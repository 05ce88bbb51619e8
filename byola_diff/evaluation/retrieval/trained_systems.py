"""Trained retrieval systems as they are kept for search: what they tell of themselves."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from byola_diff.encoders.open import NamedEncoder
from byola_diff.evaluation.retrieval.bag_of_words import BagOfWords, words_of
from byola_diff.evaluation.retrieval.embedded_scene import EmbeddedScene
from byola_diff.evaluation.retrieval.system import RetrievalSystem, SystemAbout
from byola_diff.evaluation.retrieval.text_encoders import TextEncoder
from byola_diff.evaluation.retrieval.train import TrainedRetrieval


def system_name(task: str, named: NamedEncoder, settings: Mapping[str, Any]) -> str:
    """Name of the folder: one for each task, encoder content and setting."""
    whole = json.dumps([named.content_hash, task, settings], sort_keys=True)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    clean = (re.sub(r"[^A-Za-z0-9.]+", "_", word).strip("_.") for word in (task, named.name[-60:]))
    return f"{'-'.join(clean)}-{digest}"


def trained_system(
    pairs: Path,
    named: NamedEncoder,
    text_encoder: TextEncoder,
    embedded: EmbeddedScene,
    trained: TrainedRetrieval,
    seed: int,
    settings: Mapping[str, Any],
) -> RetrievalSystem:
    """The system of a seed, to be saved.

    Args:
        pairs: Path of the table.
        named: Audio encoder.
        text_encoder: Text encoder, named in `settings`.
        embedded: Pairs of one scene.
        trained: On them.
        seed: Of the training.
        settings: Of the record.
    """
    about = SystemAbout(
        scene=embedded.table.scenes[0],
        seed=seed,
        best_epoch=trained.best_epoch,
        encoder=named.name,
        encoder_sha256=named.content_hash,
        text_encoder=settings["text_encoder"],
        text_encoder_sha256=text_encoder.content_hash,
        audio_features=embedded.pairs.audio.shape[1],
        text_features=embedded.pairs.text.shape[1],
        dim=settings["dim"],
        classes=embedded.table.classes,
        pairs=str(pairs.resolve()),
        words=_known_words(text_encoder, embedded),
        settings=settings,
    )
    return RetrievalSystem(trained.network, embedded.mean, embedded.deviation, about)


def _known_words(text_encoder: TextEncoder, embedded: EmbeddedScene) -> tuple[str, ...] | None:
    """Words that mean something to the system; None if a language model knows more than these."""
    if not isinstance(text_encoder, BagOfWords):
        return None
    texts = (pair.text for pair in embedded.table.pairs if pair.split != "test")
    return tuple(sorted({word for text in texts for word in words_of(text)}))
