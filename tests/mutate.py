"""What the tests of the method notice: each small change to it, one at a time, and its tests.

    python -m tests.mutate --out mutations.csv [--share 0.5] [--only training/objective]

Changes a copy of the checkout, never the checkout. A mutation *survives* if all tests pass. Rows
are written as they are known, and a run goes on where it was stopped. `docs/mutations.md` is about
those that survived.
"""

import argparse
import ast
import copy
import csv
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis  # noqa: F401  imported once for all forks, as the next; our own code is not
import pytest
import pytorch_lightning  # noqa: F401

REPOSITORY = Path(__file__).parents[1]
TARGETS = {
    "losses/byol.py": ["tests/losses", "tests/training/test_objective.py"],
    "losses/difference.py": ["tests/losses", "tests/training/test_objective.py"],
    "augment/crop.py": ["tests/augment", "tests/training/test_views.py"],
    "augment/fader.py": ["tests/augment", "tests/training/test_views.py"],
    "augment/mixup.py": ["tests/augment", "tests/training/test_views.py"],
    "audio/normalize.py": ["tests/audio/test_normalize.py", "tests/training/test_views.py"],
    "training/views.py": ["tests/training/test_views.py"],
    "training/objective.py": ["tests/training/test_objective.py"],
    "models/pooling.py": ["tests/models/test_pooling.py"],
    "models/pair.py": ["tests/models/test_pair.py", "tests/training/test_objective.py"],
    "evaluation/additivity/measures.py": ["tests/evaluation/additivity/test_measures.py"],
}
LIMIT_S = 900
SWAPS: dict[type, type] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.MatMult: ast.Add},
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In},
}
DROPPED = {"detach", "float", "long", "clamp_min", "clamp_max", "exp", "log", "sqrt", "abs"}
"""Methods whose call is left out: `x.detach()` becomes `x`."""


class Changer(ast.NodeTransformer):
    """Counts the places that can be changed, and changes the one that is asked for."""

    def __init__(self, wanted: int = -1) -> None:
        self.wanted, self.count = wanted, 0
        self.change: tuple[int, str, str] | None = None

    def place(self, node: ast.AST, changed: ast.AST) -> ast.AST:
        self.count += 1
        if self.count - 1 != self.wanted:
            return node
        self.change = (node.lineno, ast.unparse(node), ast.unparse(changed))  # type: ignore
        return ast.copy_location(changed, node)

    def visit(self, node: ast.AST) -> ast.AST:
        """A node, changed if it is the one; types, texts and messages are left alone."""
        if isinstance(node, ast.Raise):
            return node
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "bases"):
                continue
            if isinstance(value, list):
                value[:] = [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
            elif isinstance(value, ast.AST):
                setattr(node, field, self.visit(value))
        for changed in alternatives(node):
            node = self.place(node, changed)
        return node


def alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """Changed copies of a node."""
    changed: object
    match node:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPS:
            changed = copy.deepcopy(node)
            changed.op = SWAPS[type(op)]()  # type: ignore
            yield changed  # type: ignore
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            changed = copy.deepcopy(node)
            changed.ops = [SWAPS[type(op)]()]  # type: ignore
            yield changed  # type: ignore
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in DROPPED:
            yield value
        case ast.IfExp(test=test, body=body, orelse=other):
            yield ast.IfExp(test, other, body)
        case ast.If(test=test):
            changed = copy.deepcopy(node)
            changed.test = ast.UnaryOp(ast.Not(), test)  # type: ignore
            yield changed  # type: ignore


def mutations(source: str) -> Iterator[tuple[int, str, str, str]]:
    """Line, before, after, and the whole changed source, for every place."""
    counter = Changer()
    counter.visit(ast.parse(source))
    for wanted in range(counter.count):
        changer = Changer(wanted)
        tree = changer.visit(ast.parse(source))
        assert changer.change is not None
        yield (*changer.change, ast.unparse(ast.fix_missing_locations(tree)))


def run_tests(root: Path, tests: list[str]) -> int:
    """Exit status of pytest on the copy, in silence."""
    os.setsid()
    os.chdir(root)
    sys.path.insert(0, str(root))
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]  # those of the checkout
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    # Plugins are imported already.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *tests]))


def outcome(root: Path, tests: list[str]) -> str:
    """ "killed", "survived", or "no end", from the tests in a fork that has the copy's code."""
    child, status = os.fork(), 99
    if child == 0:
        try:
            status = run_tests(root, tests)
        finally:
            os._exit(status)
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return "survived" if status == 0 else "killed"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "no end"


def main() -> None:
    """Apply the mutations and write what came of them."""
    options = parse_args()
    done = set()
    if options.out.exists():
        with options.out.open(newline="") as file:
            done = {(row["file"], row["number"]) for row in csv.DictReader(file)}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "copy"
        ignored = shutil.ignore_patterns(".git", ".venv", "runs", "*.egg-info", ".gpu")
        shutil.copytree(REPOSITORY, root, symlinks=True, ignore=ignored)
        for name, tests in TARGETS.items():
            if options.only and not name.startswith(tuple(options.only)):
                continue
            assert outcome(root, tests) == "survived", f"tests of {name} fail as it is"
            path = root / "byola_diff" / name
            source = path.read_text()
            for number, (line, before, after, changed) in enumerate(mutations(source)):
                drawn = random.Random(f"{name}:{number}").random() < options.share
                if not drawn or (name, str(number)) in done:
                    continue
                path.write_text(changed)
                result = outcome(root, tests)
                append(options.out, name, number, line, before, after, result)
            path.write_text(source)
    summarise(options.out)


def append(out: Path, *row: object) -> None:
    """Add a row, and the header before the first."""
    is_new = not out.exists()
    with out.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["file", "number", "line", "before", "after", "result"])
        writer.writerow(row)


def summarise(out: Path) -> None:
    """Print counts by file, and what survived."""
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in TARGETS:
        results = [row["result"] for row in rows if row["file"] == name]
        print(f"{name}: {len(results)} mutations, {results.count('survived')} survived")
    for row in rows:
        if row["result"] == "survived":
            print(f"  {row['file']}:{row['line']}: {row['before']}  ->  {row['after']}")


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV of results")
    parser.add_argument("--share", type=float, default=1.0, help="of all places (default: 1)")
    parser.add_argument("--only", nargs="+", help="such as losses augment/crop")
    return parser.parse_args()


if __name__ == "__main__":
    main()
