"""Write the frozen results anew, from the code that is there: `python -m tests.frozen.freeze`.

Those in `scores.json` and `embeddings.json` were made by version 0.3.0. They change only when a
result is meant to change: say so in CHANGELOG.md, and look at the difference before you commit it.
"""

import json
import tempfile
from pathlib import Path

from tests.frozen.frozen_cases import EMBEDDINGS_FILE, SCORES, SCORES_FILE, Workshop


def main():
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder).resolve())
        scores = {name: workshop.scores(name) for name in SCORES}
        embeddings = workshop.embeddings()
    write(SCORES_FILE, json.dumps(scores, indent=1))
    rows = [f" {json.dumps(name)}: {json.dumps(rows)}" for name, rows in embeddings.items()]
    write(EMBEDDINGS_FILE, "{\n" + ",\n".join(rows) + "\n}")


def write(path, text):
    path.write_text(text + "\n", encoding="utf-8")
    print(f"{path.name} written, {len(text)} characters")


if __name__ == "__main__":
    main()
