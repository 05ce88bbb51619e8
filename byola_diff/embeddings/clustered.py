"""Batches of clips embedded on a Ray cluster: the vectors, and their order, of one machine.

Each process of the cluster gets the encoder once, and embeds in one thread. A machine that would
give other vectors, or sees other files, is found out before any of its vectors are taken.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from torch import nn

from byola_diff.audio.files import AudioFileError
from byola_diff.embeddings.cache import clip_digests
from byola_diff.embeddings.encoding import Encoding
from byola_diff.embeddings.extracted import ClipEmbeddings
from byola_diff.encoders.content_hash import content_hash
from byola_diff.tables.manifest import Manifest
from byola_diff.tables.reading import UnreadableClipsError
from byola_diff.workers import outcomes

R = TypeVar("R")


def embed_in_cluster(
    encoding: Encoding, batches: Sequence[Sequence[int]], digests: Sequence[bytes], address: str
) -> Iterator[tuple[list[int], ClipEmbeddings]]:
    """As `Encoding.embeddings`, each batch on one core of the cluster at this address.

    What a lost machine had in hand is done again. Embeddings are those of one thread here, to the
    bit where the processors are of one kind. The digests are those of all clips, as this machine
    sees their files (`clip_digests`).

    Raises:
        ConnectionError: If there is no such cluster.
        ValueError: If the encoder can't be sent, if a machine has other versions of what
            embeddings depend on, or if it sees other files under the paths of the clips.
        UnreadableClipsError: If files can't be decoded, once all others are embedded.
    """
    here = encoding.settings(_hash(encoding))
    broken: list[AudioFileError] = []
    with closing(outcomes(batches, _Work(encoding, here), 1, cluster=address)) as answers:
        for batch, answer in zip(batches, _in_order(answers), strict=True):
            _check_settings(answer, here)
            _check_files(answer, encoding.manifest, batch, digests)
            yield from answer.embedded
            broken += answer.broken
    if broken:
        raise UnreadableClipsError(broken, len(encoding.manifest.clips))


@dataclass(frozen=True)
class _Answer:
    """What comes back for a batch; errors of its files are no exceptions, as others go on."""

    machine: str
    settings: Mapping[str, Any]
    digests: Sequence[bytes] = ()
    """Digests of its clips, as that machine sees their files."""
    embedded: Sequence[tuple[list[int], ClipEmbeddings]] = ()
    broken: Sequence[AudioFileError] = ()


@dataclass(frozen=True)
class _Work:
    """What is done there; each process of the cluster has one of its own."""

    encoding: Encoding
    expected: Mapping[str, Any]
    """Settings of the machine that asks."""

    def __call__(self, batch: Sequence[int]) -> _Answer:
        answer = _Answer(platform.node(), self._settings)
        if self._settings != self.expected:
            return answer
        digests = _digests(self.encoding, batch)
        embedded, broken = [], ()
        try:
            for rows, embeddings in self.encoding.embeddings([batch], n_workers=1):
                embedded.append((rows, embeddings))
        except UnreadableClipsError as error:
            broken = error.errors
        return replace(answer, digests=digests, embedded=embedded, broken=broken)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return self.encoding.settings(_hash(self.encoding))


def _hash(encoding: Encoding) -> str | None:
    """The content of the encoder; None if it is no module, whose weights can't be seen."""
    return content_hash(encoding.encoder) if isinstance(encoding.encoder, nn.Module) else None


def _digests(encoding: Encoding, batch: Sequence[int]) -> list[bytes]:
    clips = tuple(encoding.manifest.clips[row] for row in batch)
    return clip_digests(replace(encoding.manifest, clips=clips), encoding.preprocessing)


def _in_order(answers: Iterable[tuple[int, Callable[[], R]]]) -> Iterator[R]:
    """Results by their place, from outcomes as they are ready; one that waits stays over there."""
    ready: dict[int, Callable[[], R]] = {}
    turn = 0
    for place, result_of in answers:
        ready[place] = result_of
        while turn in ready:
            yield ready.pop(turn)()
            turn += 1


def _check_settings(answer: _Answer, here: Mapping[str, Any]) -> None:
    """Refuse a machine that embeds otherwise than this one."""
    if answer.settings == here:
        return
    pairs = {
        name: (answer.settings.get(name, "nothing"), here.get(name, "nothing"))
        for name in sorted(here.keys() | answer.settings.keys())
    }
    differing = ", ".join(
        f"{name} ({there}, here {own})" for name, (there, own) in pairs.items() if there != own
    )
    raise ValueError(
        f"the machine {answer.machine} would give other embeddings, by its {differing}: install "
        "there what is installed here"
    )


def _check_files(
    answer: _Answer, manifest: Manifest, batch: Sequence[int], digests: Sequence[bytes]
) -> None:
    """Refuse a machine that sees other files than this one."""
    for row, there in zip(batch, answer.digests, strict=True):
        if there != digests[row]:
            raise ValueError(
                f"the machine {answer.machine} sees another file, or none, as "
                f"{manifest.path(manifest.clips[row])}: all have to share the folders, under one "
                "path, and files have to stay as they are"
            )
