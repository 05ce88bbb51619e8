"""What each command needs beyond the core dependencies, for itself or for one of its options."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import NamedTuple


class Need(NamedTuple):
    """A module, and what is not to be had without it."""

    module: str
    extra: str
    """The extra of this package that installs it."""
    of: str = ""
    """Such as an option; "" is the command as such."""


class Lack(NamedTuple):
    """A need that is not met."""

    need: Need
    problem: str
    """Why the module can't be imported, in a line."""


_APART = {"scaper": "scaper==1.6.5", "tinysoundfont": "tinysoundfont==0.3.7"}
"""What no extra installs, as it requires something that has to be compiled, and does without."""
_NAMES = {"PIL": "pillow", "mlflow": "mlflow-skinny", "sklearn": "scikit-learn"}
"""What installs modules of other names."""
_ABSENT = "not installed"


def lacks(command: str) -> list[Lack]:
    """What a command lacks; modules are imported for that."""
    found = ((need, problem_of(need.module)) for need in NEEDS[command])
    return [Lack(need, problem) for need, problem in found if problem]


@cache
def problem_of(module: str) -> str | None:
    """Why a module can't be imported, in a line; None if it can."""
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        is_it = error.name in (module, module.partition(".")[0])
        return _ABSENT if is_it else f"{error.name}, which it needs, is {_ABSENT}"
    except (Exception, SystemExit) as error:  # a broken package may raise anything
        return in_a_line(error)
    return None


def in_a_line(error: BaseException) -> str:
    """What an error says first, after its kind."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def package_of(need: Need) -> str:
    """What a package index calls that which has the module."""
    top = need.module.partition(".")[0]
    return _NAMES.get(top, top)


def install_commands(lacking: Iterable[Lack]) -> list[str]:
    """Commands that mend all of these: one for all extras, and one for what has none or broke."""
    extras: dict[str, None] = {}
    others: dict[str, None] = {}
    for need, problem in lacking:
        top = need.module.partition(".")[0]
        if not problem.endswith(_ABSENT):
            others[f"pip install --force-reinstall --no-deps {package_of(need)}"] = None
        elif top in _APART:
            others[f"pip install --no-deps {_APART[top]}"] = None
            extras[need.extra] = None  # with what it does need
        else:
            extras[need.extra] = None
    return [*([install_extras(extras)] if extras else []), *others]


def install_extras(extras: Iterable[str]) -> str:
    """The command that installs whole extras."""
    return f"pip install 'byola-diff[{','.join(extras)}]'"


_AUDIO = (Need("av", "decode", "audio that libsndfile does not read, such as .m4a"),)
_NNAUDIO = Need("nnAudio.features", "nnaudio", "front_end.backend nnaudio")
_HUB = Need("huggingface_hub", "hub", "encoders of hf:OWNER/NAME")
_ENCODERS = (
    Need("transformers", "evaluate", "the encoders ast, wav2vec2 and hubert"),
    Need("torchaudio.compliance.kaldi", "evaluate", "the encoder ast"),
    Need("torchcrepe", "evaluate", "the encoder crepe"),
    _NNAUDIO,
    _HUB,
    *_AUDIO,
)
_CLUSTER = Need("ray", "cluster", "--cluster")
_EMBEDDED = (*_ENCODERS, _CLUSTER)
"""Needs of commands that embed files, which a cluster can do."""
_INTERVAL = Need("scipy.special", "evaluate")
_PICTURE = Need("matplotlib.figure", "evaluate", "its picture")
_HEARD = (
    Need("matplotlib", "evaluate", "its exhibit"),
    Need("PIL.Image", "evaluate", "its exhibit"),
)
_LINEAR = (
    _INTERVAL,
    Need("sklearn.linear_model", "evaluate", "--protocol logistic"),
    *_EMBEDDED,
)
_RENDERED = (
    Need("pyloudnorm", "generate"),
    Need("scaper", "generate", "--renderer scaper"),
    _CLUSTER,
    *_AUDIO,
)

NEEDS: Mapping[str, tuple[Need, ...]] = {
    "pretrain": (
        Need("tensorboard", "log", "training.logger tensorboard"),
        Need("wandb", "wandb", "training.logger wandb"),
        Need("mlflow", "mlflow", "training.logger mlflow"),
        Need("webdataset", "shards", "data.source shards"),
        Need("fsspec", "shards", "data.source shards"),
        Need("braceexpand", "shards", "data.source shards"),
        _HUB,
        _NNAUDIO,
        *_AUDIO,
    ),
    "export": (Need("onnx", "onnx", "--onnx"), Need("onnxscript", "onnx", "--onnx")),
    "push": (Need("huggingface_hub", "hub"),),
    "deploy": (Need("onnx", "onnx", "ONNX"), Need("onnxscript", "onnx", "ONNX")),
    "adapter": (Need("mteb", "mteb", "what it prints for MTEB"),),
    "explore": (
        Need("bokeh", "explore"),
        Need("jinja2", "explore"),
        Need("matplotlib", "explore"),
        Need("PIL.Image", "explore"),
        Need("sklearn.manifold", "explore"),
        Need("threadpoolctl", "explore"),
        *_EMBEDDED,
    ),
    "demo": (
        Need("matplotlib", "evaluate"),
        Need("sklearn", "evaluate"),
        Need("jinja2", "evaluate"),
        Need("pyloudnorm", "generate"),
    ),
    "doctor": (),
    "evaluate linear": _LINEAR,
    "evaluate layers": _LINEAR,
    "evaluate fusion": _LINEAR,
    "evaluate ensemble": _LINEAR,
    "evaluate hear": (
        _INTERVAL,
        Need("scipy.ndimage", "evaluate", "tasks of events"),
        Need("scipy.sparse.csgraph", "evaluate", "tasks of events"),
        *_EMBEDDED,
    ),
    "evaluate bgknown": (_INTERVAL, *_HEARD, *_EMBEDDED),
    "evaluate retrieval": (_INTERVAL, *_HEARD, *_EMBEDDED),
    "evaluate search": (
        Need("jinja2", "evaluate"),
        Need("matplotlib", "evaluate"),
        Need("PIL.Image", "evaluate"),
        *_EMBEDDED,
    ),
    "evaluate additivity": (
        _INTERVAL,
        Need("sklearn.linear_model", "evaluate", "mixtures, without --polyphony-clips 0"),
        Need("pyarrow.parquet", "parquet", "--quadruples with parquet files"),
        _PICTURE,
        *_ENCODERS,
    ),
    "evaluate embed": _EMBEDDED,
    "evaluate report": (Need("jinja2", "evaluate"), Need("matplotlib.figure", "evaluate")),
    "prepare clips": (_CLUSTER, *_AUDIO),
    "prepare task": (),
    "make sounds": (),
    "make free-corpus": (
        Need("av", "corpus", "packages with speech in G.722"),
        Need("tinysoundfont", "corpus", "notes of sound fonts"),
    ),
    "make bgknown": _RENDERED,
    "make apwd": _RENDERED,
    "render apwd": _RENDERED,
}
