"""Pretrain an encoder: `python train.py --help`. The same as `byola-diff pretrain`."""

import sys

from byola_diff.commands.pretrain import main

if __name__ == "__main__":
    sys.exit(main())
