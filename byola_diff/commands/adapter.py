"""Print what to paste to evaluate an encoder by a suite of others.

    byola-diff adapter xares > byola_diff_encoder.py
    byola-diff adapter evar --encoder runs/mine/bundle

The suites are mteb, xares, s3prl and evar; none need be installed here. Above each piece a comment
names the file that it is for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from byola_diff.adapters.paste import SUITES, pasted
from byola_diff.command_line import exit_status, read_options
from byola_diff.option_fields import POSITIONAL, one_of
from byola_diff.storage import BrokenFileError


@dataclass(frozen=True, kw_only=True)
class AdapterOptions:
    """Which suite, and which encoder."""

    suite: Annotated[str, POSITIONAL, one_of(SUITES), "SUITE"]
    """One of mteb, xares, s3prl, evar."""
    encoder: Annotated[str, "ENCODER"] = "byola-diff"
    """A shipped encoder, a bundle folder, a kind with its weights, or a YAML file."""


def main(arguments: Sequence[str] | None = None, prog: str = "byola-diff adapter") -> int:
    """Exit status: 0, or 2 if the encoder can't be opened."""
    options = read_options(AdapterOptions, arguments, prog=prog, description=__doc__)
    errors = (BrokenFileError, ModuleNotFoundError, OSError, ValueError)
    return exit_status(prog, partial(run, options), errors)


def run(options: AdapterOptions) -> None:
    """Print the pieces."""
    print(pasted(options.suite, options.encoder), end="")
