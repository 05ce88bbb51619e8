"""Make a training corpus of real sounds, of free packages of the Debian archive.

    python datasets/make_free_corpus.py data/free

Needs no account and no root: on Debian the packages are downloaded by apt-get, elsewhere --debs
names a folder of them. Writes OUT/audio/KIND/PACKAGE/*.ogg and OUT/manifest.csv; apart from them
long recordings of changing surroundings, OUT/backgrounds and OUT/backgrounds.csv; OUT/left_out.csv
with reasons; OUT/ATTRIBUTION.md and OUT/licences. A stopped run goes on with the package that it
was at, and the same packages give the same bytes.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from byola_diff.atomic import only_writer
from byola_diff.command_line import exit_status, read_options
from byola_diff.free_corpus.build import (
    FORMAT_VERSION,
    PackageRecord,
    build_package,
    claim_folder,
    finished_record,
    remove_unfinished,
)
from byola_diff.free_corpus.deb import DebError, read_control
from byola_diff.free_corpus.fetch import DebFolder, NotFetchedError, download
from byola_diff.free_corpus.plan import Package, read_table
from byola_diff.free_corpus.tables import hours_by_kind, write_tables
from byola_diff.option_fields import POSITIONAL, Count
from byola_diff.progress import note, progress


@dataclass(frozen=True, kw_only=True)
class MakeFreeCorpusOptions:
    """Which packages, and where they are."""

    out: Annotated[Path, POSITIONAL, "OUT"]
    """Folder of the corpus."""
    debs: Annotated[Path, "DIR"] | None = None
    """Folder of .deb files to take instead of downloading them to OUT/debs."""
    small: bool = False
    """Only a few small packages that are rich in effects."""
    packages: Annotated[list[str], "NAME"] | None = None
    """Only these packages of the table."""
    sample_rate: Annotated[Count, "HZ"] = 16_000
    """Sample rate of the corpus."""
    keep_unclear: bool = False
    """Keep sounds whose package does not say their licence in a form that can be read."""

    def __post_init__(self) -> None:
        if self.debs is not None and not self.debs.is_dir():
            raise ValueError(f"--debs: no such folder: {self.debs}")
        if unknown := {*(self.packages or ())} - {package.package for package in read_table()}:
            raise ValueError(f"--packages: not in the table: {', '.join(sorted(unknown))}")


def main(arguments: Sequence[str] | None = None, prog: str = "make_free_corpus.py") -> int:
    """Make the corpus; the exit status is 2 if nothing could be had, or it can't be written."""
    options = read_options(MakeFreeCorpusOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, partial(run, options), (OSError, ValueError))


def run(options: MakeFreeCorpusOptions) -> None:
    """Build what is not there yet, then write the tables, and say what there is."""
    with only_writer(options.out):
        claim_folder(options.out)
        records, missing = _build_all(options)
        remove_unfinished(options.out)
        if not records:
            raise ValueError(
                f"no package could be had: {'; '.join(missing) or 'none was asked for'}"
            )
        write_tables(options.out, records)
    for kind, count, hours in hours_by_kind(records):
        print(f"{kind:<12}{count:>7} pieces {hours:>7.2f} h")
    n_left = sum(len(record["left_out"]) for record in records)
    print(f"{options.out}: {len(records)} packages; {n_left} sounds left out (left_out.csv)")
    if missing:
        print("packages left out:", *missing, sep="\n  ", file=sys.stderr)
        print("give the same command again once they can be had", file=sys.stderr)


def _build_all(options: MakeFreeCorpusOptions) -> tuple[list[PackageRecord], list[str]]:
    """Records of all packages that can be had, and a line for each other one."""
    chosen = [package for package in read_table() if _is_chosen(package, options)]
    folder = DebFolder(options.debs or options.out / "debs")
    records: list[PackageRecord] = []
    missing = [f"{file}: {reason}" for file, reason in folder.unreadable]
    seen: set[str] = set()
    for package in progress(chosen, unit="packages"):
        try:
            record = _record(package, options, folder, seen)
        except (DebError, NotFetchedError, ModuleNotFoundError) as error:
            missing.append(f"{package.package}: {error}")
            note(missing[-1])
            continue
        records.append(record)
        seen |= {*record["recordings"]}
    return records, missing


def _is_chosen(package: Package, options: MakeFreeCorpusOptions) -> bool:
    named = options.packages is None or package.package in options.packages
    return named and (package.small or not options.small)


def _record(
    package: Package, options: MakeFreeCorpusOptions, folder: DebFolder, seen: set[str]
) -> PackageRecord:
    """The record of a package, which is built if that was not done yet."""
    settings: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "sample_rate": options.sample_rate,
        "keep_unclear": options.keep_unclear,
        "table": package.digest(),
    }
    if record := finished_record(options.out, package, settings, seen):
        return record
    version, deb = folder.find(package.package, package.version) or _downloaded(package, options)
    if version != package.version:
        note(f"{package.package}: version {version}, tested was {package.version}")
    return build_package(options.out, package, deb, settings, seen)


def _downloaded(package: Package, options: MakeFreeCorpusOptions) -> tuple[str, Path]:
    if options.debs is not None:
        raise NotFetchedError(f"not in {options.debs}; version {package.version} was tested")
    deb = download(package.package, options.out / "debs")
    return read_control(deb).get("Version", ""), deb
