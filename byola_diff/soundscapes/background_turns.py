"""Which background an item gets: each serves once before any serves twice."""

from collections.abc import Sequence

from byola_diff.randomness import derive_seed
from byola_diff.soundscapes.library import Source

_MOST_BACKGROUNDS = 10


class Turns:
    """Whose turn it is among the backgrounds: all in one order, then all in another, and so on."""

    def __init__(self, backgrounds: Sequence[Source], seed: int) -> None:
        self._backgrounds = backgrounds
        self._seed = seed
        self._rounds: list[list[Source]] = []

    def of(self, rank: int, n_items: int) -> tuple[Source, ...]:
        """The background for the item of a rank, then others to serve in its stead."""
        chosen: dict[str, Source] = {}
        place = rank
        n_wanted = min(_MOST_BACKGROUNDS, len(self._backgrounds))
        for _ in range(4 * _MOST_BACKGROUNDS):
            source = self._at(place)
            chosen.setdefault(source.file, source)
            if len(chosen) == n_wanted:
                break
            place += n_items
        return tuple(chosen.values())

    def _at(self, place: int) -> Source:
        number, within = divmod(place, len(self._backgrounds))
        while len(self._rounds) <= number:
            seed = derive_seed(self._seed, "bgknown round", len(self._rounds))
            self._rounds.append(
                sorted(self._backgrounds, key=lambda source: derive_seed(seed, source.file))
            )
        return self._rounds[number][within]
