"""Imports point down, never up, and never across two folders of one floor: so none in a circle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import byola_diff

REPOSITORY = Path(__file__).parent.parent
PACKAGE = "byola_diff"

# Every file of the top folder and every folder, also those inside another: a folder of its own.
FLOORS = [
    ["atomic", "cores", "option_fields", "optional", "stopping", "compiled", "progress"],
    ["threads"],
    ["audio", "randomness", "config", "storage", "command_line", "allocator", "commit"],
    ["cluster"],
    ["models", "losses", "augment", "tables", "store", "sounds", "workers", "devices"],
    ["clips", "corpora", "deploy"],
    ["training", "soundscapes.render", "export", "free_corpus"],
    ["soundscapes.production"],
    ["soundscapes.sources"],
    ["soundscapes.bgknown", "soundscapes.pairs"],
    ["soundscapes"],
    ["encoders"],
    ["embeddings", "probing", "scores"],
    ["reports"],
    ["evaluation"],
    [f"evaluation.{name}" for name in ("linear", "hear", "bgknown", "additivity", "retrieval")],
    ["build", "hear", "adapters", "explore"],
    ["demo", "commands"],
    ["__main__"],
]
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}
OPTIONAL = {
    *("matplotlib", "sklearn", "scipy", "transformers", "torchcrepe", "scaper", "torchaudio"),
    *("av", "tinysoundfont"),
    *("pandas", "pyarrow", "jinja2", "PIL"),
    *("nnAudio", "pyloudnorm", "jams", "sox"),
    *("webdataset", "braceexpand", "ray", "huggingface_hub", "bokeh", "threadpoolctl"),
    *("mteb", "xares", "s3prl"),
    *("tensorboard", "wandb", "mlflow"),
}
SCRIPTS = ["train.py", "evaluate.py", "datasets/*.py", "benchmarks/*.py"]

# A module that imports packages of an extra on top says which, as in NEEDS_EXTRA = "generate".
MARK = "NEEDS_EXTRA"


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
    """Folder below the package that a dotted name belongs to, or the file of the top folder.

    A folder that holds folders is one of its own, for the files that lie in it: what is imported
    from `evaluation.linear` is of that folder, what from `evaluation.jobs` of `evaluation`.
    """
    names = name.split(".")
    if names[0] != PACKAGE or len(names) == 1:
        return None
    folder = REPOSITORY / PACKAGE / names[1]
    below = names[2:]
    inner = [names[1]]
    while below and (folder / below[0]).is_dir() and any((folder / below[0]).glob("*.py")):
        folder /= below[0]
        inner.append(below.pop(0))
    return ".".join(inner)


def forbidden(source, module, is_package=False):
    """Imports in `source` that the rule does not allow in `module`."""
    here = part(module)
    if here is None:
        return []
    targets = {part(name) for name in imported(source, module, is_package)} - {None, here}
    return sorted(t for t in targets if t not in FLOOR or FLOOR[t] >= FLOOR[here])


def needs_extra(source):
    """Whether a source text says that it imports packages of an extra."""
    named = (node.targets for node in ast.parse(source).body if isinstance(node, ast.Assign))
    return any(ast.unparse(target) == MARK for targets in named for target in targets)


@pytest.mark.parametrize(
    ("source", "module", "expected"),
    [
        ("from byola_diff.audio.files import x", "byola_diff.clips.folder", []),
        ("from byola_diff.clips.order import x", "byola_diff.clips.folder", []),
        ("import byola_diff.clips.order", "byola_diff.audio.files", ["clips"]),
        ("from byola_diff.models import cnn", "byola_diff.tables.pairs", ["models"]),
        ("from byola_diff import models", "byola_diff.tables.pairs", ["models"]),
        ("def f():\n  from byola_diff import training", "byola_diff.clips.x", ["training"]),
        ("from ..models import cnn", "byola_diff.tables.pairs", ["models"]),
        ("from .order import x", "byola_diff.clips.source", []),
        ("from .order import x", "byola_diff.clips", []),
        ("from byola_diff.randomness import x", "byola_diff.config", ["randomness"]),
        ("from byola_diff.training import x", "byola_diff.export", ["training"]),
        ("from byola_diff.training import x", "byola_diff.build", []),
        ("from byola_diff.evaluation.jobs import x", "byola_diff.evaluation.hear.run", []),
        ("from byola_diff.evaluation import jobs", "byola_diff.evaluation.hear.run", []),
        ("from byola_diff.evaluation.hear import run", "byola_diff.evaluation.hear.grid", []),
        (
            "from byola_diff.evaluation.hear.run import x",
            "byola_diff.evaluation.jobs",
            ["evaluation.hear"],
        ),
        (
            "from byola_diff.evaluation import hear",
            "byola_diff.evaluation.linear.run",
            ["evaluation.hear"],
        ),
        ("from byola_diff.scores.read import x", "byola_diff.probing.metrics", ["scores"]),
    ],
)
def test_the_rule_itself(source, module, expected):
    assert forbidden(source, module, is_package=module == "byola_diff.clips") == expected


def test_every_folder_has_a_floor_and_no_other_has():
    assert {part(module) for _, module in modules()} - {None} == FLOOR.keys()


def test_every_folder_says_what_it_is_for():
    packages = [path for path, _ in modules() if path.name == "__init__.py"]
    silent = [
        path.parent.name for path in packages if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


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


def test_bars_are_drawn_in_one_place():
    drawing = {
        module
        for path, module in modules()
        if any(name.split(".")[0] == "tqdm" for name in imported(path.read_text()))
    }
    # The latter for the wording of a time.
    assert drawing == {"byola_diff.progress", "byola_diff.training.progress"}


def test_optional_packages_are_imported_where_they_are_used():
    wrong = {
        module: sorted(found)
        for path, module in modules()
        if (found := at_import(path.read_text()) & OPTIONAL) and not needs_extra(path.read_text())
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


@pytest.mark.slow
def test_importing_works_without_what_is_optional():
    wanted = [module for path, module in modules() if not needs_extra(path.read_text())]
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


def test_names_of_the_package_are_imported_on_first_use():
    assert set(byola_diff.__all__) == {"__version__", *byola_diff._FROM}
    for name, module in byola_diff._FROM.items():
        assert getattr(byola_diff, name).__module__ == module
