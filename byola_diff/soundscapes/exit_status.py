"""How a script that generates a data set ends."""

import sys
from collections.abc import Callable

from byola_diff.audio.files import AudioFileError

_USER_ERRORS = (AudioFileError, ModuleNotFoundError, OSError, RuntimeError, ValueError)


def exit_status(script: str, run: Callable[[], int]) -> int:
    """What `run` returns; 2 after an error of use, which is told in a line; 130 after Ctrl-C."""
    try:
        return run()
    except _USER_ERRORS as error:
        print(f"{script}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{script}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
