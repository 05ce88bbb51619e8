"""One guard for all optional packages, and one for those that are broken."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


def require(module: str, extra: str, purpose: str | None = None) -> ModuleType:
    """The optional module of this dotted name, imported now.

    Args:
        module: Such as "scipy.stats".
        extra: Extra of this package that installs it.
        purpose: What needs it, for the error.

    Raises:
        ModuleNotFoundError: If it is not installed; says what to install.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        what = purpose or f"this needs {error.name}, which"
        missing = f"needs {error.name}, which is not installed" if purpose else "is not installed"
        raise ModuleNotFoundError(
            f"{what} {missing}: pip install 'byola-diff[{extra}]'", name=error.name
        ) from error


@contextmanager
def telling_what_is_broken() -> Iterator[None]:
    """For a block that imports: whatever a broken package raises ends the program with advice."""
    try:
        yield
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        sys.exit(f"byola-diff: {what}\nbyola-diff doctor tells what is broken")
