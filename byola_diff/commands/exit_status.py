"""How a command ends."""

import sys
from collections.abc import Callable

from byola_diff.audio.files import AudioFileError

_USER_ERRORS = (AudioFileError, ModuleNotFoundError, OSError, RuntimeError, ValueError)


def exit_status(
    prog: str,
    run: Callable[[], int | None],
    errors: tuple[type[Exception], ...] = _USER_ERRORS,
) -> int:
    """What `run` returns; 2 after an error of use, which is said in a line; 130 after Ctrl-C."""
    try:
        return run() or 0
    except errors as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{prog}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
