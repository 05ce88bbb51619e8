"""`python -m byola_diff.demo`."""

import sys

from byola_diff.demo.run import main

if __name__ == "__main__":
    sys.exit(main())
