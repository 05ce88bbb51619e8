"""The command `byola-diff`, which is also `python -m byola_diff`.

`byola-diff COMMAND --help` tells of a command, `byola-diff --version` which version this is.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module

import byola_diff
from byola_diff.optional import telling_what_is_broken

COMMANDS: Mapping[str, tuple[str, str]] = {
    "pretrain": ("byola_diff.commands.pretrain", "pretrain an encoder"),
    "export": ("byola_diff.export", "write a training checkpoint as a bundle"),
    "push": ("byola_diff.commands.push", "upload a bundle to the Hugging Face hub"),
    "deploy": ("byola_diff.deploy", "write an encoder as ONNX or a torch.export program"),
    "demo": ("byola_diff.demo.run", "what the shipped encoders do, and a pretraining to watch"),
    "doctor": ("byola_diff.commands.doctor", "what works here, and what each command lacks"),
    "evaluate": ("byola_diff.commands.evaluate", "evaluate frozen encoders, and report"),
    "adapter": ("byola_diff.commands.adapter", "what to paste for suites such as MTEB or S3PRL"),
    "explore": ("byola_diff.commands.explore", "make a page to explore a folder of sounds"),
    "prepare clips": ("byola_diff.commands.prepare_clips", "decode a folder of audio once"),
    "prepare task": ("byola_diff.commands.prepare_task", "write the manifest of a published task"),
    "make sounds": ("byola_diff.commands.make_sounds", "procedural sounds, for scores or training"),
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
    if words == ["--version"]:
        print(f"byola-diff {byola_diff.__version__}")
        return 0
    if words[:1] == ["doctor"]:  # which works where nothing else does
        return import_module(COMMANDS["doctor"][0]).main(words[1:])
    with telling_what_is_broken():
        run = _chosen(words)
    return run()


def _wrong(message: str) -> int:
    print(f"byola-diff: error: {message}", file=sys.stderr)
    return 2


def _chosen(words: Sequence[str]) -> Callable[[], int | None]:
    """The command that the words call for, and its own words; they end the program if it is none.

    What it needs is imported now, as most commands import torch, and help should not wait for it.
    """
    from byola_diff.command_line import choose_command

    about = {name: text for name, (_, text) in COMMANDS.items()}
    n_words = 2 if any(words[:1] == name.split()[:1] for name in about if " " in name) else 1
    if words == ["help"]:
        words = ["--help"]
    if n_words == 2 and words[1:2] == [] and words[0] not in about:
        kinds = " or ".join(name for name in about if name.split()[0] == words[0])
        sys.exit(_wrong(f"{words[0]} what? {kinds}"))
    if n_words == 2 and words[1].startswith("-"):
        words, n_words = ["--help"], 1
    named = [" ".join(words[:n_words]), *words[n_words:]]
    name = choose_command(named, about, prog="byola-diff", description=__doc__)
    return partial(import_module(COMMANDS[name][0]).main, named[1:], prog=f"byola-diff {name}")


if __name__ == "__main__":
    sys.exit(main())
