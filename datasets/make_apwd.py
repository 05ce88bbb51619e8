"""Make new pairs of clips like APwD's. The same as `byola-diff make apwd`."""

import sys

from byola_diff.commands.make_apwd import main

if __name__ == "__main__":
    sys.exit(main())
