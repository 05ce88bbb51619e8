"""What there is to be had: the packages of `packages.csv`, and the kinds of `kinds.csv`.

`packages.csv` has the version that was tested, and the licence of all sounds of a package whose
copyright file does not say it by file; the smallest package is first, so that a stopped run has
many. In `kinds.csv` the last line whose patterns match package and path (in small letters) says
what a sound is; without a kind it is left out, and `why` says why. `share` is how much is taken of
what there is too much of: the same files every time.

Left out, so that nothing here shares a recording with the evaluation set ESC-50: that has clips of
the sounds 169127, 19026 and 19898 of freesound.org, which OpenSFX says it uses. Those were all the
matches among the numbers that the copyright files of 23 packages name. Of the others, gcin-voice
alone names one, a voice; what no copyright file names can't be checked. Packages that name many
sounds of freesound.org which were not compared (redeclipse-data, lomiri-sounds) are not in the
table, nor is triplea, some of whose sounds seem to be from films.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from byola_diff.free_corpus.licences import FilesParagraph, glob, licence_of
from byola_diff.free_corpus.pieces import Kind
from byola_diff.tables.rows import Row, checked_row, read_rows

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Rule:
    """What sounds of some paths of some packages are."""

    package: str
    pattern: str
    kind: Kind | None
    share: Annotated[float, Field(gt=0, le=1)]
    licence: str
    why: str

    def takes(self, path: str) -> bool:
        """Whether the sound is among the share that is taken."""
        place = int(hashlib.sha256(path.encode()).hexdigest()[:8], 16)
        return place < self.share * 16**8


@dataclass(frozen=True)
class Package:
    """A package of the table."""

    package: str
    version: str
    """That was tested."""
    licence: str
    """Licence of its sounds, where the copyright file does not say it; else empty."""
    small: bool
    """Whether it is part of the small corpus."""
    installed: str
    source: str
    """Beginning of paths in the source package, which the copyright file is about, for that of
    `installed` ones; both may be empty."""
    rules: tuple[tuple[re.Pattern[str], Rule], ...] = ()

    def rule(self, path: str) -> Rule:
        """What a sound is."""
        path = path.lower()
        return next(rule for pattern, rule in reversed(self.rules) if pattern.fullmatch(path))

    def licence_of(self, path: str, paragraphs: list[FilesParagraph]) -> str:
        """The licence of a sound: of its rule, of the package, or else of the copyright file."""
        if path.startswith(self.installed):
            source = self.source + path.removeprefix(self.installed)
        else:
            source = path
        return self.rule(path).licence or self.licence or licence_of(source, paragraphs)

    def digest(self) -> str:
        """Hash of what the table says of it: when that changes, it is built anew."""
        rules = [rule for _, rule in self.rules]
        said = repr((self.package, self.licence, self.installed, self.source, rules))
        return hashlib.sha256(said.encode()).hexdigest()


def read_table(folder: Path = _HERE) -> list[Package]:
    """All packages in the order of the table, which decides who keeps a sound that two have."""
    lines = read_rows(folder / "kinds.csv", "table of kinds", [["package"], ["pattern"]])
    rules = [checked_row(Rule, _values(line)) for line in lines]
    packages = []
    for row in read_rows(folder / "packages.csv", "table of packages", [["package"]]):
        own = [rule for rule in rules if glob(rule.package).fullmatch(row["package"])]
        pairs = tuple((glob(rule.pattern), rule) for rule in own)
        values = row | {"small": row["small"] == "small"}
        packages.append(Package(**values, rules=pairs))  # pyright: ignore[reportArgumentType]
    return packages


def _values(line: Row) -> dict[str, str | None]:
    """Cells of a rule: no kind is None, no share all."""
    return line | {"kind": line["kind"] or None, "share": line["share"] or "1"}
