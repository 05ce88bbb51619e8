"""Write the manifest of a downstream task. The same as `byola-diff prepare task`."""

import sys

from byola_diff.commands.prepare_task import main

if __name__ == "__main__":
    sys.exit(main())
