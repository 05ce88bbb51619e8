"""Render a labelled corpus of procedural sounds. The same as `byola-diff make sounds`."""

import sys

from byola_diff.commands.make_sounds import main

if __name__ == "__main__":
    sys.exit(main())
