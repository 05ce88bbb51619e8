"""Where packages come from: a folder of `.deb` files, or `apt-get download`, without root."""

import subprocess
import tempfile
from pathlib import Path

from byola_diff.free_corpus.deb import DebError, read_control


class NotFetchedError(Exception):
    """A package that can't be had, and why."""


class DebFolder:
    """The packages in a folder, known by what they say of themselves, not by their names."""

    def __init__(self, folder: Path) -> None:
        self.unreadable: list[tuple[str, str]] = []
        """(file, reason)"""
        self._found: dict[str, dict[str, Path]] = {}
        for path in sorted(folder.glob("*.deb")):
            try:
                control = read_control(path)
            except (DebError, OSError) as error:
                self.unreadable.append((path.name, str(error)))
                continue
            self._found.setdefault(control.get("Package", ""), {})[control.get("Version", "")] = (
                path
            )

    def find(self, package: str, version: str) -> tuple[str, Path] | None:
        """Version and path: the version asked for if it is there, else another, else None."""
        versions = self._found.get(package, {})
        if not versions:
            return None
        chosen = version if version in versions else max(versions)
        return chosen, versions[chosen]


def download(package: str, folder: Path) -> Path:
    """The `.deb` of a package, brought into a folder by the system's own apt.

    Raises:
        NotFetchedError: If there is no apt here, or it does not find or get the package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # In a folder of its own first: apt writes under the final name.
    with tempfile.TemporaryDirectory(prefix=".getting-", dir=folder) as getting:
        command = ["apt-get", "--quiet", "download", package]
        try:
            done = subprocess.run(command, cwd=getting, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise NotFetchedError("there is no apt-get here: give --debs") from None
        files = [*Path(getting).glob("*.deb")]
        if done.returncode or not files:
            said = [line for line in done.stderr.splitlines() if line.startswith("E:")]
            raise NotFetchedError(said[-1] if said else "apt-get gave no package")
        return files[0].replace(folder / files[0].name)
