"""Make a page to explore a folder of sounds: a map by similarity, players, search by example.

    byola-diff explore DIR --out page.html
    byola-diff explore DIR --labels manifest.csv --serve

Every audio file below DIR is embedded and put on a map on which alike ones are close. The page
finds what is alike to a sound, to several, or to one without another. It is one file that loads
nothing from elsewhere. With --serve it is also served, with whole sounds, to this machine alone.
"""

from collections.abc import Sequence
from functools import partial

from byola_diff.command_line import exit_status, read_options
from byola_diff.evaluation.jobs import USER_ERRORS
from byola_diff.explore.run import ExploreOptions, explore


def main(arguments: Sequence[str] | None = None, prog: str = "byola-diff explore") -> int:
    """Exit status: 0 for a page, 2 for options, sounds or an encoder that can't be used."""
    options = read_options(ExploreOptions, arguments, prog=prog, description=__doc__)
    return exit_status(prog, partial(explore, options), USER_ERRORS)
