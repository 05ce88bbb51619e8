"""Make a training corpus of free packages of Debian. The same as `byola-diff make free-corpus`."""

import sys

from byola_diff.commands.make_free_corpus import main

if __name__ == "__main__":
    sys.exit(main())
