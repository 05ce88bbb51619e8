"""Evaluate frozen encoders: `python evaluate.py --help`. The same as `byola-diff evaluate`."""

import sys

from byola_diff.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
