"""Sizes that tell of a room or a function with more than one idea: a sign, not an aim."""

import ast
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "byola_diff"
MOST_LINES_OF_A_FUNCTION = 45
MOST_LINES_OF_A_ROOM = 5_000


def long_functions(source, most):
    """Names of the functions in a source text that have more lines, with how many."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, functions) and (lines := node.end_lineno - node.lineno + 1) > most:
            yield node.name, lines


def test_long_functions_are_found():
    source = "class A:\n    def short(self): ...\n    async def long(self):\n        a = 1\n"
    assert list(long_functions(source, 1)) == [("long", 2)]


def test_functions_fit_on_a_screen():
    for path in PACKAGE.rglob("*.py"):
        found = list(long_functions(path.read_text(), MOST_LINES_OF_A_FUNCTION))
        assert not found, f"{path}: {found}"


def test_no_room_is_larger_than_can_be_surveyed():
    lines = Counter()
    for path in PACKAGE.rglob("*.py"):
        lines[path.relative_to(PACKAGE).parts[0]] += len(path.read_text().splitlines())
    room, most = lines.most_common(1)[0]
    assert most <= MOST_LINES_OF_A_ROOM, f"{room} has {most} lines"
