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
"""Licence of a file that no paragraph is about, or of a package that a program can't read it of."""

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

    The patterns are about the source package, where the file lies deeper or less deep: its path
    there is taken to be the longest end of the installed path that a pattern without a wildcard in
    front names. The last paragraph that matches it counts; one about all files only if no other
    does.
    """
    tails = [*accumulate(reversed(path.split("/")), lambda tail, folder: f"{folder}/{tail}")]
    places = (tail for tail in reversed(tails) if any(_names(each, tail) for each in paragraphs))
    place = next(places, path)
    for paragraph in reversed(paragraphs):
        if any(each != _ALL and each.fullmatch(place) for each in paragraph.patterns):
            return paragraph.licence or UNCLEAR
    of_all = (paragraph.licence for paragraph in paragraphs if _ALL in paragraph.patterns)
    return [UNCLEAR, *of_all][-1] or UNCLEAR


def _names(paragraph: FilesParagraph, path: str) -> bool:
    return any(
        not each.pattern.startswith(_WILD) and each.fullmatch(path) for each in paragraph.patterns
    )


def glob(pattern: str) -> re.Pattern[str]:
    """What matches the paths that a pattern stands for.

    In time that grows with the path and the pattern, however many stars a stranger's pattern has:
    what follows a star is looked for once, at the first place where it is.
    """
    fixed = [""]
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        if part == "*":
            fixed.append("")
        else:
            fixed[-1] += "." if part == "?" else re.escape(part.removeprefix("\\"))
    if len(fixed) == 1:
        return re.compile(fixed[0], re.DOTALL)
    first, *middle, last = fixed
    found = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)


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
_WILD = (".", "(?>")
"""How the regular expression of a pattern with a wildcard in front begins."""
