"""Which faults in the core of the method no test sees: one at a time is put in, tests are run.

    python benchmarks/mutate.py --sample 150 --seed 0

The package and its tests are copied to a temporary folder, and only the copy is changed: a
comparison, an operator, a number or a condition is changed, or a call dropped. Of each file
its own tests are run, which must pass on the copy as it is; a mutant that passes them all has
survived. `docs/mutations.md` says which did, and why those are harmless. It takes 2 to 10 s
a mutant, in one process.
"""

import argparse
import ast
import copy
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

TESTS = {
    "losses/byol.py": ["losses/test_byol.py"],
    "losses/difference.py": ["losses/test_difference.py"],
    "augment/crop.py": ["augment/test_crop.py"],
    "augment/fader.py": ["augment/test_fader.py"],
    "augment/mixup.py": ["augment/test_mixup.py"],
    "training/objective.py": ["training/test_objective.py"],
    "models/pair.py": ["models/test_pair.py"],
    "evaluation/additivity/measures.py": ["evaluation/additivity/test_measures.py"],
}
"""Files of the package, and the tests that are run for each."""

_SWAPS: dict[type, type] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr},
    **{ast.BitXor: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn},
}
_WORDS = (
    *("-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--noconftest"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of plugins, in the second run
)
_TIMEOUT_S = 300.0
_LOG = "pytest.log"


class Mutant(NamedTuple):
    """One change of one file."""

    file: str
    line: int
    before: str
    after: str
    source: str
    """The whole file with the change."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: `{self.before}` -> `{self.after}`"


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What a node may become."""
    match node:
        case ast.Compare(ops=[operator]) | ast.BinOp(op=operator) | ast.BoolOp(op=operator):
            if swap := _SWAPS.get(type(operator)):
                changed = copy.deepcopy(node)
                if isinstance(changed, ast.Compare):
                    changed.ops = [swap()]
                else:
                    changed.op = swap()
                yield changed
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
            if isinstance(value, float):
                yield ast.Constant(value * 1.01)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.If(test=test) | ast.IfExp(test=test):
            changed = copy.deepcopy(node)
            changed.test = ast.UnaryOp(ast.Not(), test)
            yield changed
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Call(func=ast.Attribute(value=receiver)) if not (
            isinstance(receiver, ast.Name) and receiver.id in ("torch", "np", "nn")
        ):
            yield receiver
        case ast.Call(args=[argument, *_]):
            yield argument
        case ast.FunctionDef(decorator_list=[_, *_]):
            changed = copy.deepcopy(node)
            changed.decorator_list = []
            yield changed


def mutants(file: str) -> list[Mutant]:
    """All changes of a file; not in annotations or texts."""
    tree = ast.parse((ROOT / "byola_diff" / file).read_text(encoding="utf-8"))
    skipped = {id(n) for part in _annotations(tree) for n in ast.walk(part)}
    found = []
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            for place, node in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(node, ast.AST) or id(node) in skipped:
                    continue
                for changed in changes(node):
                    new = [*value] if isinstance(value, list) else changed
                    if isinstance(new, list):
                        new[place] = changed
                    setattr(parent, name, new)
                    source = ast.unparse(ast.fix_missing_locations(tree))
                    setattr(parent, name, value)
                    before, after = (ast.unparse(n).partition("\n")[0] for n in (node, changed))
                    found.append(Mutant(file, getattr(node, "lineno", 0), before, after, source))
    return found


def _annotations(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield from filter(None, [node.returns])
        elif isinstance(node, ast.arg | ast.AnnAssign):
            yield from filter(None, [node.annotation])


def collect(folder: Path, files: Sequence[str]) -> None:
    """Import all that the tests of these files need, once: mutants are tried in forks of this."""
    import pytest

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    tests = {f"tests/{test}": None for file in files for test in TESTS[file]}
    if pytest.main([*_WORDS, "--collect-only", "-qq", *tests]):
        sys.exit("the tests can't be collected")


def forget(file: str) -> None:
    """Drop the module of a file, all of the package that import it, and the tests."""
    sources = {
        name: Path(module.__file__).read_text(encoding="utf-8")
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "byola_diff" and module.__file__
    }
    old = {"byola_diff." + file.removesuffix(".py").replace("/", ".")}
    while True:
        users = {
            name
            for name, source in sources.items()
            for each in old
            if f"from {each} import" in source
            or f"from {each.rpartition('.')[0]} import {each.rpartition('.')[2]}" in source
        }
        if users <= old:
            break
        old |= users
    for name in [name for name in sys.modules if name in old or name.startswith("tests.")]:
        parent, _, last = name.rpartition(".")
        if hasattr(sys.modules.get(parent), last):
            delattr(sys.modules[parent], last)
        del sys.modules[name]


def passes(folder: Path, file: str) -> bool | None:
    """Whether the tests of a file pass on the copy in `folder`; None if they do not end."""
    child = os.fork()
    if child == 0:
        status = 3
        try:
            import pytest

            log = os.open(folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            forget(file)
            tests = [f"tests/{test}" for test in TESTS[file]]
            # Without the option of jaxtyping, whose hook of the first run checks imports already.
            status = int(pytest.main([*_WORDS, "-o", "addopts=", *tests]))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()  # which an exit like this does not
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


def _write(path: Path, content: str, number: int) -> None:
    """With a time of its own, so that no compiled file is taken for that of another content."""
    path.write_text(content, encoding="utf-8")
    os.utime(path, (10 * number, 10 * number))


def main() -> None:
    """Try a sample of the mutants, print the survivors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sample", type=int, help="how many, of all files; all if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop then")
    parser.add_argument("--only", nargs="+", default=[""], help="words in names of files")
    options = parser.parse_args()
    os.nice(15)
    files = [file for file in TESTS if any(word in file for word in options.only)]
    every = [mutant for file in files for mutant in mutants(file)]
    chosen = random.Random(options.seed).sample(
        every, min(options.sample or len(every), len(every))
    )
    start, counts = time.monotonic(), Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("byola_diff", "tests", "configs"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "pyproject.toml", folder)
        files = list({mutant.file: None for mutant in chosen})
        collect(folder, files)
        for file in files:
            if not passes(folder, file):
                said = (folder / _LOG).read_text(encoding="utf-8")
                sys.exit(f"{said}\nthe tests of {file} do not pass as it is")
        for number, mutant in enumerate(chosen):
            if time.monotonic() - start > 60 * options.minutes:
                break
            path = folder / "byola_diff" / mutant.file
            whole = path.read_text(encoding="utf-8")
            _write(path, mutant.source, 2 * number + 1)
            survived = passes(folder, mutant.file)
            _write(path, whole, 2 * number + 2)
            outcome = {True: "survived", False: "killed", None: "no end"}[survived]
            counts[outcome] += 1
            if survived:
                print(f"survived {mutant}", flush=True)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    seconds = time.monotonic() - start
    print(f"{counts.total()} of {len(every)} mutants, seed {options.seed}: {told}; {seconds:.0f} s")


if __name__ == "__main__":
    main()
