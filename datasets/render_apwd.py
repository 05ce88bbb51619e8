"""Render the published soundscapes of APwD. The same as `byola-diff render apwd`."""

import sys

from byola_diff.commands.render_apwd import main

if __name__ == "__main__":
    sys.exit(main())
