"""Any module that follows the HEAR API, by its import name.

What the package promises of its own encoders can't be given for others: clips of any length, or
long ones in bounded memory. Whether a module keeps to the API is tried when it is loaded.

Source:
    https://hearbenchmark.com/hear-api.html
"""

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from byola_diff.audio.waveform import checked_waveform
from byola_diff.encoders.hear_checks import (
    check_model,
    check_scene,
    check_timestamps,
    differs,
)
from byola_diff.models.frozen import EvalModule
from byola_diff.randomness import torch_generator
from byola_diff.storage import sha256

FUNCTIONS = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")


class HearEncoder(EvalModule):
    """The model of a HEAR module behind the contract of encoders.

    If a clip gets other embeddings alone than in a batch of two, clips are encoded one at a time.
    """

    def __init__(self, module: ModuleType, model: Any, identity: Mapping[str, Any]) -> None:
        """Try the model on one second of noise.

        Args:
            module: Has the functions of the API.
            model: What its `load_model` returned.
            identity: Plain values that tell it from other models.

        Raises:
            ValueError: If it breaks the API, saying how.
        """
        super().__init__()
        check_model(module.__name__, model)
        self.module, self.model, self.identity = module, model, dict(identity)
        self.sample_rate = int(model.sample_rate)
        self.scene_embedding_size = int(model.scene_embedding_size)
        self.timestamp_embedding_size = int(model.timestamp_embedding_size)
        self.layer_strides: Mapping[str, int] = {"embedding": 1}
        self.freeze()
        self.one_at_a_time = False
        self.one_at_a_time = self._depends_on_neighbours()

    def settings(self) -> dict[str, Any]:
        """Plain values that the embeddings depend on, besides the weights."""
        return {**self.identity, "one_at_a_time": self.one_at_a_time}

    @torch.no_grad()
    def scene(self, waveform: Tensor) -> Float[Tensor, "batch dim"]:
        """One embedding per clip."""
        return self._scene(checked_waveform(waveform))

    @torch.no_grad()
    def timestamps(
        self, waveform: Tensor
    ) -> tuple[Float[Tensor, "batch frame dim"], Float[Tensor, "batch frame"]]:
        """Frame embeddings, and the centre of each in ms, as the module gives them."""
        return self._timestamps(checked_waveform(waveform))

    def layers(self, waveform: Tensor) -> dict[str, Tensor]:
        """The timestamp embeddings, as "embedding": the API shows no other layer."""
        return {"embedding": self.timestamps(waveform)[0]}

    def _scene(self, waveform: Tensor) -> Tensor:
        clips = self._groups(waveform)
        return torch.cat([self.module.get_scene_embeddings(each, self.model) for each in clips])

    def _timestamps(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        clips = self._groups(waveform)
        pairs = [self.module.get_timestamp_embeddings(each, self.model) for each in clips]
        embeddings, centers_ms = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return embeddings, centers_ms.float().to(embeddings.device)

    def _groups(self, waveform: Tensor) -> tuple[Tensor, ...]:
        return waveform.split(1 if self.one_at_a_time else len(waveform))

    @torch.no_grad()
    def _depends_on_neighbours(self) -> bool:
        """Whether a clip gets other embeddings in a batch; checks the API on the way."""
        noise = torch.rand(2, self.sample_rate, generator=torch_generator("HEAR probe")) * 2 - 1
        noise[0] /= 100  # what leaks from a loud neighbour shows in a faint clip
        name = self.module.__name__
        together = self._tried("scene", self._scene, noise)
        check_scene(name, together, self.scene_embedding_size)
        embeddings, centers_ms = self._tried("timestamp", self._timestamps, noise)
        check_timestamps(name, embeddings, centers_ms, self.timestamp_embedding_size)
        if differs(self._scene(noise), together):
            raise ValueError(f"{name} gives one clip another embedding each time")
        alone = [(self._scene(clip), self._timestamps(clip)[0]) for clip in noise.split(1)]
        scenes, frames = (torch.cat(parts) for parts in zip(*alone, strict=True))
        return differs(scenes, together) or differs(frames, embeddings)

    def _tried(self, kind: str, encode: Callable[[Tensor], Any], noise: Tensor) -> Any:
        try:
            return encode(noise)
        except Exception as error:  # code of others: it may raise anything
            raise ValueError(
                f"{self.module.__name__} fails on {kind} embeddings of a batch of two clips of one "
                f"second: {type(error).__name__}: {error}"
            ) from error


def load_hear_module(
    module: str, weights: str = "", options: Mapping[str, Any] | None = None
) -> HearEncoder:
    """The model of the HEAR module of that import name.

    Args:
        module: As in `import module`.
        weights: What its `load_model` takes; nothing for the module's own choice.
        options: Keyword options of its `load_model`.

    Raises:
        ModuleNotFoundError: If there is no such module, or it needs one that is missing.
        FileNotFoundError: If its `load_model` fails, and there is no file of its weights.
        ValueError: If it lacks functions of the API, or breaks it.
    """
    imported = import_module_of_user(module)
    missing = [each for each in FUNCTIONS if not callable(getattr(imported, each, None))]
    if missing:
        raise ValueError(
            f"{module} is no HEAR module: it has no {', '.join(missing)} "
            "(https://hearbenchmark.com/hear-api.html)"
        )
    try:
        model = imported.load_model(*([weights] if weights else []), **(options or {}))
    except TypeError as error:
        raise ValueError(f"{module}.load_model does not take this: {error}") from error
    except OSError as error:
        # Asked only now, as weights may be a name that the module looks up itself.
        if not weights or Path(weights).exists():
            raise
        raise FileNotFoundError(
            f"no weights at {weights}, the path that {module}.load_model was given: {error}"
        ) from error
    identity = {
        "module": module,
        "module_digest": _module_digest(imported),
        "weights_digest": _weights_digest(Path(weights).expanduser()) if weights else None,
        "options": dict(options or {}),
    }
    return HearEncoder(imported, model, identity)


def import_module_of_user(name: str) -> ModuleType:
    """The module of that import name, which a user gave.

    Raises:
        ModuleNotFoundError: If there is none, or it needs one that is missing.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ModuleNotFoundError(
                f"no module {name!r}: install the package that has it, or name its folder in "
                "PYTHONPATH",
                name=error.name,
            ) from None
        raise


def _module_digest(module: ModuleType) -> str:
    """SHA-256 of the version and the code of the package that the module is in.

    The code is all Python files of the top-level package: the network is mostly in another module
    than the functions of the API. Of a module in no package it is its one file.
    """
    package = sys.modules[module.__name__.partition(".")[0]]
    digest = hashlib.sha256(str(getattr(package, "__version__", None)).encode())
    for folder in map(Path, getattr(package, "__path__", [])):
        _update(digest, folder, folder.rglob("*.py"))
    if not hasattr(package, "__path__") and package.__file__:
        file = Path(package.__file__)
        _update(digest, file.parent, [file])
    return digest.hexdigest()


def _weights_digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder; the path itself if it is neither."""
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        return str(path)
    digest = hashlib.sha256()
    _update(digest, path, path.rglob("*"))
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", root: Path, paths: Iterable[Path]) -> None:
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{sha256(path)}".encode())
