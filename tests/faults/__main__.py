"""Print what kills, damaged files and odd files do, and end with 1 if a promise is broken.

python -m tests.faults                                     # as CI does: some minutes
python -m tests.faults --points 1000 --damages 2000 --files 2000     # all: some hours
python -m tests.faults --points 0 --damages 0 --files 200 --seed 7   # one of the three, anew
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence

from tests.faults import damage, kills, odd_files

DEFAULT_POINTS, DEFAULT_DAMAGES, DEFAULT_FILES = 30, 2000, 2000


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--points", type=int, default=DEFAULT_POINTS, help="kills")
    parser.add_argument("--damages", type=int, default=DEFAULT_DAMAGES, help="damaged files")
    parser.add_argument("--files", type=int, default=DEFAULT_FILES, help="odd files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="faults alone, for tests")
    args = parser.parse_args(words)
    killed = kills.kill_and_resume(args.points, args.seed, _progress(args.json))
    damaged = damage.damage_all(args.damages, args.seed)
    read = odd_files.read_all(args.files, args.seed)
    found = [
        *((f"killed: {one.job}, {one.moment}", one.fault) for one in killed),
        *((f"damaged: {one.kind}, {one.damage}", one.fault) for one in damaged),
        *((f"odd: {one.kind}, {one.file}", one.fault) for one in read),
    ]
    faults = [f"{what}: {fault}" for what, fault in found if fault]
    if args.json:
        print(json.dumps([len(killed), len(damaged), len(read), faults]))
        return 0
    _table("killed and resumed", [(one.job, (one.fault and "FAULT") or "same") for one in killed])
    _table(
        "moments of kills",
        [(one.moment.split(",")[0], (one.fault and "FAULT") or "same") for one in killed],
    )
    _table("damaged", [(one.kind, (one.fault and "FAULT") or one.answer) for one in damaged])
    _table("odd or hostile", [(one.kind, (one.fault and "FAULT") or one.answer) for one in read])
    print(*faults, f"{len(faults)} faults", sep="\n")
    return int(bool(faults))


def _progress(silent: bool) -> Callable[[kills.Point], None]:
    def tell(point: kills.Point) -> None:
        if point.fault and not silent:
            print(f"{point.job}, {point.moment}: {point.fault}", file=sys.stderr, flush=True)

    return tell


def _table(title: str, pairs: Sequence[tuple[str, str]]) -> None:
    """A row for each kind, with how often each answer came."""
    if not pairs:
        return
    counts, answers = Counter(pairs), sorted({answer for _, answer in pairs})
    names = [*dict.fromkeys(name for name, _ in pairs)]
    width = max(map(len, [*names, title]))
    print(title.ljust(width), *(answer.rjust(9) for answer in [*answers, "all"]))
    for name in names:
        numbers = [counts[name, answer] for answer in answers]
        print(name.ljust(width), *(str(n).rjust(9) for n in [*numbers, sum(numbers)]))
    numbers = [sum(counts[name, answer] for name in names) for answer in answers]
    print("all".ljust(width), *(str(n).rjust(9) for n in [*numbers, len(pairs)]), end="\n\n")


if __name__ == "__main__":
    sys.exit(main())
