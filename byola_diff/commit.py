"""Which version of the code a result comes from."""

import subprocess
from functools import cache
from pathlib import Path


@cache
def code_commit() -> str | None:
    """Commit of the checkout that the package runs from, with "-dirty" if it was changed since.

    None for a package installed without its repository, or where git can't be run.
    """
    checkout = Path(__file__).parents[1]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "--no-optional-locks", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            [*command, "--abbrev=40", "--exclude=*"], capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
