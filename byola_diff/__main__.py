"""The command `byola-diff`, which is also `python -m byola_diff`."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from byola_diff.command_line import choose_command

COMMANDS: Mapping[str, tuple[str, str]] = {
    "pretrain": ("byola_diff.commands.pretrain", "pretrain an encoder"),
    "export": ("byola_diff.export", "write a training checkpoint as a bundle"),
    "demo": ("byola_diff.demo.run", "what the shipped encoders do, and a pretraining to watch"),
    "evaluate": ("byola_diff.commands.evaluate", "evaluate frozen encoders, and report"),
    "explore": ("byola_diff.commands.explore", "make a page to explore a folder of sounds"),
    "prepare clips": ("byola_diff.commands.prepare_clips", "decode a folder of audio once"),
    "prepare task": ("byola_diff.commands.prepare_task", "write the manifest of a published task"),
    "make sounds": ("byola_diff.commands.make_sounds", "render labelled procedural sounds"),
    "make free-corpus": (
        "byola_diff.commands.make_free_corpus",
        "make a corpus of real sounds, of free Debian packages",
    ),
    "make bgknown": ("byola_diff.commands.make_bgknown", "make Background-known ESC-50"),
    "make apwd": ("byola_diff.commands.make_apwd", "make pairs of clips like APwD's"),
    "render apwd": ("byola_diff.commands.render_apwd", "render the published clips of APwD"),
}
"""Module whose `main` runs each command, and what it is for."""


def main(arguments: Sequence[str] | None = None) -> int | None:
    """Run the command that the first word or two name; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    about = {name: text for name, (_, text) in COMMANDS.items()}
    n_words = 2 if any(words[:1] == name.split()[:1] for name in about if " " in name) else 1
    if n_words == 2 and (len(words) < 2 or words[1].startswith("-")):
        words, n_words = ["--help"], 1
    named = [" ".join(words[:n_words]), *words[n_words:]]
    name = choose_command(named, about, prog="byola-diff", description=__doc__)
    # Imported now, as most commands import torch, and help should not wait for it.
    return import_module(COMMANDS[name][0]).main(named[1:], prog=f"byola-diff {name}")


if __name__ == "__main__":
    sys.exit(main())
