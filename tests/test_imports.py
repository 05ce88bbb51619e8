"""Imports point down, never up, and never across two folders of one layer."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PACKAGE = "byola_diff"

LAYER = {
    "atomic": 0,
    **dict.fromkeys(["audio", "randomness", "distributed", "config", "storage", "command_line"], 1),
    **dict.fromkeys(["allocator", "commit"], 1),
    **dict.fromkeys(["models", "losses", "augment", "data", "sounds"], 2),
    **dict.fromkeys(["training", "evaluation", "soundscapes", "export"], 3),
    **dict.fromkeys(["build", "hear"], 4),
    "demo_report": 4,
    "demo": 5,
}
OPTIONAL = {
    *("matplotlib", "sklearn", "scipy", "transformers", "torchcrepe", "scaper", "torchaudio"),
    *("nnAudio", "pyloudnorm", "jams", "sox"),
}
SCRIPTS = ["train.py", "evaluate.py", "datasets/*.py", "benchmarks/*.py"]

# Modules for what comes with an extra, which may import it on top.
NEEDS_EXTRA = {f"{PACKAGE}.soundscapes.render"}


def modules():
    """Source path and dotted name of every module of the package."""
    for path in sorted((REPOSITORY / PACKAGE).rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        yield path, ".".join(part for part in parts if part != "__init__")


def imported(source, module="", is_package=False):
    """Dotted names that a source text imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")
            kept = len(parents) - node.level + is_package
            above = parents[:kept] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            # `from byola_diff import audio` imports a folder, `from byola_diff.audio import f` not.
            yield from (".".join([*base, alias.name]) for alias in node.names)


def part(name):
    """Folder or file below the package that a dotted name belongs to."""
    names = name.split(".")
    return names[1] if names[0] == PACKAGE and len(names) > 1 else None


def forbidden(source, module, is_package=False):
    """Imports in `source` that the rule does not allow in `module`."""
    here = part(module)
    if here is None:
        return []
    targets = {part(name) for name in imported(source, module, is_package)} - {None, here}
    return sorted(t for t in targets if t not in LAYER or LAYER[t] >= LAYER[here])


@pytest.mark.parametrize(
    ("source", "module", "expected"),
    [
        ("from byola_diff.audio.files import x", "byola_diff.data.folder", []),
        ("from byola_diff.data.order import x", "byola_diff.data.folder", []),
        ("import byola_diff.data.order", "byola_diff.audio.files", ["data"]),
        ("from byola_diff.models import cnn", "byola_diff.data.clips", ["models"]),
        ("from byola_diff import models", "byola_diff.data.clips", ["models"]),
        ("def f():\n  from byola_diff import training", "byola_diff.data.x", ["training"]),
        ("from ..models import cnn", "byola_diff.data.clips", ["models"]),
        ("from .order import x", "byola_diff.data.clips", []),
        ("from .order import x", "byola_diff.data", []),
        ("from byola_diff.randomness import x", "byola_diff.config", ["randomness"]),
        ("from byola_diff.training import x", "byola_diff.export", ["training"]),
        ("from byola_diff.training import x", "byola_diff.build", []),
    ],
)
def test_the_rule_itself(source, module, expected):
    assert forbidden(source, module, is_package=module == "byola_diff.data") == expected


def test_every_part_has_a_layer():
    parts = {part(module) for _, module in modules()} - {None}
    assert parts <= LAYER.keys(), f"not in the list of layers: {sorted(parts - LAYER.keys())}"


def test_imports_point_down():
    wrong = {
        module: targets
        for path, module in modules()
        if (targets := forbidden(path.read_text(), module, path.name == "__init__.py"))
    }
    assert not wrong


def test_nothing_imports_a_script():
    scripts = [path for pattern in SCRIPTS for path in REPOSITORY.glob(pattern)]
    private = {"datasets"} | {path.stem for path in (REPOSITORY / "datasets").glob("*.py")}
    any_script = private | {"benchmarks"} | {path.stem for path in scripts}
    sources = [(path, any_script) for path, _ in modules()] + [(path, private) for path in scripts]
    wrong = {
        str(path.relative_to(REPOSITORY)): sorted(found)
        for path, names in sources
        if (found := {name.split(".")[0] for name in imported(path.read_text())} & names)
    }
    assert not wrong
    assert not (REPOSITORY / "datasets" / "__init__.py").exists()


def test_optional_packages_are_imported_where_they_are_used():
    wrong = {
        module: sorted(found)
        for path, module in modules()
        if module not in NEEDS_EXTRA and (found := at_import(path.read_text()) & OPTIONAL)
    }
    assert not wrong


def at_import(source):
    """Packages that a source text imports outside functions, other than for type checks."""
    found, waiting = set(), [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import scaper.core", {"scaper"}),
        ("try:\n  import scaper\nexcept ImportError:\n  import nnAudio", {"scaper", "nnAudio"}),
        ("def f():\n  import scaper", set()),
        ("class A:\n  def f(self):\n    import scaper", set()),
        ("if TYPE_CHECKING:\n  import scaper\nelse:\n  import nnAudio", {"nnAudio"}),
    ],
)
def test_what_counts_as_imported_at_import(source, expected):
    assert at_import(source) == expected


def test_importing_works_without_what_is_optional():
    wanted = [module for _, module in modules() if module not in NEEDS_EXTRA]
    code = (
        "import importlib, sys\n"
        # Lightning comes first, as torchmetrics loads matplotlib wherever there is one.
        "import pytorch_lightning\n"
        f"sys.modules.update(dict.fromkeys({OPTIONAL!r} - sys.modules.keys()))\n"
        f"for name in {wanted!r}:\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
