"""Make Background-known ESC-50. The same as `byola-diff make bgknown`."""

import sys

from byola_diff.commands.make_bgknown import main

if __name__ == "__main__":
    sys.exit(main())
