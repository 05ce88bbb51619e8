"""Upload a bundle to the Hugging Face hub, from where hf:OWNER/NAME loads it.

    byola-diff push runs/mine/bundle OWNER/NAME --private

The repository is made if it is not there. Log in first, by `hf auth login`, or set HF_TOKEN to a
token that may write. Needs the extra "hub".
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from byola_diff.command_line import exit_status, read_options
from byola_diff.models.bundle import push_to_hub
from byola_diff.option_fields import POSITIONAL
from byola_diff.storage import BrokenFileError


@dataclass(frozen=True, kw_only=True)
class PushOptions:
    """What is uploaded, and where to."""

    bundle: Annotated[str, POSITIONAL, "BUNDLE"]
    """Folder of a bundle, or the name of a shipped encoder."""
    repository: Annotated[str, POSITIONAL, "OWNER/NAME"]
    """Repository on the hub."""
    private: bool = False
    """Show it to its owner alone."""


def main(
    arguments: Sequence[str] | None = None, prog: str = "python -m byola_diff.commands.push"
) -> int:
    """Exit status: 0 for a bundle that is on the hub now, 2 for one that is not."""
    options = read_options(PushOptions, arguments, prog=prog, description=__doc__)
    errors = (OSError, ValueError, BrokenFileError, ModuleNotFoundError)
    return exit_status(prog, lambda: _push(options), errors)


def _push(options: PushOptions) -> None:
    word = push_to_hub(options.bundle, options.repository, options.private)
    print(
        f"{options.bundle} is on the hub. Load it with:\n"
        f'  byola_diff.load_encoder("hf:{options.repository}")\n'
        f"or, whatever is uploaded there later, as {word}"
    )


if __name__ == "__main__":
    sys.exit(main())
