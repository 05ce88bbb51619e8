r"""Which licence a file of a package has, by the copyright file that every package has.

Source:
    Machine-readable debian/copyright file, version 1.0 (DEP-5), "Files paragraph": `*` matches
    anything, also `/`; `?` one character; `\` makes the next one plain; the last paragraph with a
    matching pattern counts.
"""

import re
from dataclasses import dataclass
from itertools import accumulate

UNCLEAR = "unclear"
"""Of a file that no paragraph is about, or of a package without a machine-readable file."""

_FIELD = re.compile(r"([A-Za-z-]+):[ \t]*(.*)")


@dataclass(frozen=True)
class FilesParagraph:
    """Files and their licence."""

    patterns: tuple[re.Pattern[str], ...]
    licence: str


def read_copyright(text: str) -> list[FilesParagraph]:
    """The paragraphs about files; none of a copyright file that is free text."""
    found = []
    for paragraph in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields = _fields(paragraph)
        if fields.get("files") and fields.get("license"):
            patterns = tuple(glob(each.removeprefix("./")) for each in fields["files"].split())
            found.append(FilesParagraph(patterns, fields["license"].splitlines()[0].strip()))
    return found


def licence_of(path: str, paragraphs: list[FilesParagraph]) -> str:
    """The licence of an installed file.

    The patterns are about the source package, where the file lies deeper or less deep: the path is
    tried as it is, then without its first folders, as few as can be. Only if it is named in none of
    these ways does a paragraph about all files count.
    """
    tails = [*accumulate(reversed(path.split("/")), lambda tail, folder: f"{folder}/{tail}")]
    for tail in reversed(tails):
        for paragraph in reversed(paragraphs):
            named = (each for each in paragraph.patterns if each != _ALL)
            if any(pattern.fullmatch(tail) for pattern in named):
                return paragraph.licence or UNCLEAR
    of_all = [paragraph.licence for paragraph in paragraphs if _ALL in paragraph.patterns]
    return (of_all and of_all[-1]) or UNCLEAR


def glob(pattern: str) -> re.Pattern[str]:
    """What matches the paths that a pattern stands for."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(p) or re.escape(p.removeprefix("\\")) for p in parts), re.S)


def _fields(paragraph: str) -> dict[str, str]:
    """Values by names in small letters; later lines of a value begin with a blank."""
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.splitlines():
        if found := _FIELD.fullmatch(line):
            name = found[1].lower()
            fields[name] = found[2]
        elif name and line[:1] in (" ", "\t"):
            fields[name] += f"\n{line.strip()}"
    return fields


_ALL = glob("*")
