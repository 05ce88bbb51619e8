"""Decode a folder of audio into a packed store. The same as `byola-diff prepare clips`."""

import sys

from byola_diff.commands.prepare_clips import main

if __name__ == "__main__":
    sys.exit(main())
