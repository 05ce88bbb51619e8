"""Evaluate frozen encoders: probes, layers, fusion, ensembles, HEAR, the difference benchmarks.

    python evaluate.py linear --encoder runs/mine/bundle cnn14:FILE.pth --manifest data/esc50.csv
    python evaluate.py layers --encoder runs/mine/bundle --manifest data/esc50.csv
    python evaluate.py fusion --encoder 'vggish[10,15]:FILE.pth' --manifest data/esc50.csv
    python evaluate.py ensemble --encoder configs/evaluate/fusion_cat_xwc.yaml --manifest my.csv
    python evaluate.py hear --encoder runs/mine/bundle --task tasks/esc50-v2.0.0-full
    python evaluate.py bgknown --encoder runs/mine/bundle --data data/bgknown
    python evaluate.py retrieval --encoder runs/mine/bundle --pairs data/rain/pairs.csv
    python evaluate.py search --system SYSTEM --query a.wav --text wind --folder DIR
    python evaluate.py additivity --encoder runs/mine/bundle
    python evaluate.py embed --encoder runs/mine/bundle --manifest my.csv --out embeddings.npy
    python evaluate.py report runs/scores --out report.html --csv scores.csv

An encoder is one argument: a shipped one by its name, a bundle, which is a folder or hf:OWNER/NAME
on the Hugging Face hub, or another kind (`linear --help-all` lists them), or a YAML file such as
those in configs/evaluate. Layers in brackets are fused. A manifest is a CSV file with the columns
file, label, and split or fold. Nothing is downloaded but what hf: names.

Each score is written as a JSON record, and so is each failure: the other encoders go on, and the
exit status is 2. Embeddings are cached: what was done is not done again.
"""

import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from byola_diff.atomic import write_text
from byola_diff.command_line import choose_command, exit_status, read_options
from byola_diff.encoders import registry
from byola_diff.evaluation.additivity.run import AdditivityOptions, additivity_job
from byola_diff.evaluation.bgknown.run import BgKnownOptions, bgknown_job
from byola_diff.evaluation.hear.run import HearOptions, hear_jobs
from byola_diff.evaluation.jobs import USER_ERRORS, Job, run_jobs
from byola_diff.evaluation.linear import steps
from byola_diff.evaluation.linear.run import LinearOptions, linear_jobs, write_embeddings
from byola_diff.evaluation.options import Folder, ScoreOptions
from byola_diff.evaluation.retrieval.run import RetrievalOptions, retrieval_jobs
from byola_diff.evaluation.retrieval.search_run import SearchOptions
from byola_diff.evaluation.retrieval.search_run import search as search_folder
from byola_diff.option_fields import POSITIONAL
from byola_diff.reports.extras import read_extras
from byola_diff.reports.paper_tables import print_paper_table
from byola_diff.reports.results_page import to_csv, to_markdown, write_report
from byola_diff.scores import read_records


def main(arguments: Sequence[str] | None = None, prog: str = "evaluate.py") -> int:
    """Run one verb; returns the exit status: 2 if anything failed."""
    words = sys.argv[1:] if arguments is None else arguments
    about = {name: run.__doc__ or "" for name, run in VERBS.items()}
    verb = choose_command(words, about, prog=prog, description=__doc__)
    run = VERBS[verb]
    lines = (__doc__ or "").splitlines()
    example = next((line.strip() for line in lines if f"evaluate.py {verb} " in line), "")
    options = read_options(
        get_type_hints(run)["options"],
        words[1:],
        prog=f"{prog} {verb}",
        description=run.__doc__,
        epilog=f"example:\n  {example}",
        details=None if verb == "report" else kinds_of_encoders(),
    )
    return exit_status(prog, partial(run, options), USER_ERRORS)


def kinds_of_encoders() -> str:
    """What `--encoder` takes, a line each, for the help."""
    kinds = (registry.__doc__ or "").partition("\n\n")[2]
    return f"encoders:\n{textwrap.indent(kinds.rstrip(), '  ')}"


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of the verb `report`."""

    runs: list[Annotated[Folder, POSITIONAL]]
    """Folders or files of score records."""
    out: Annotated[Path, "HTML"] = Path("runs/report.html")
    """The report."""
    csv: Annotated[Path, "FILE"] | None = None
    """Also write all scores as a table."""
    markdown: Annotated[Path, "FILE"] | None = None
    """Also write tables as text."""
    dry_run: bool = False
    """Read the records and stop."""


def linear(options: LinearOptions) -> int:
    """Score a linear probe on scene embeddings, on the test split or over the folds."""
    return _run_all(options, linear_jobs(options, steps.scene_steps))


def layers(options: LinearOptions) -> int:
    """Score every layer of an encoder, each as mean plus maximum over time."""
    return _run_all(options, linear_jobs(options, steps.layer_steps))


def fusion(options: LinearOptions) -> int:
    """Score fused layers, beside each layer and the scene embedding of the same encoder."""
    return _run_all(options, linear_jobs(options, steps.fusion_steps))


def ensemble(options: LinearOptions) -> int:
    """Score an ensemble, beside each of its members alone."""
    return _run_all(options, linear_jobs(options, steps.ensemble_steps))


def hear(options: HearOptions) -> int:
    """Score an encoder on tasks of the HEAR benchmark, by HEAR's protocol."""
    return _run_all(options, hear_jobs(options))


def bgknown(options: BgKnownOptions) -> int:
    """Score differences of embeddings on Background-known ESC-50: Mix, (a), (b) and (c)."""
    return _run_all(options, [bgknown_job(options)], paper_table="bgknown")


def retrieval(options: RetrievalOptions) -> int:
    """Score retrieval by a recording and a text that tells the difference, on pairs of clips."""
    return _run_all(options, retrieval_jobs(options), paper_table="retrieval")


def search(options: SearchOptions) -> int:
    """Search a folder of audio by a recording and a text; writes a page with players."""
    return search_folder(options)


def additivity(options: AdditivityOptions) -> int:
    """Score how additive differences are: the same events over two backgrounds, by loudness."""
    return _run_all(options, [additivity_job(options)])


def report(options: ReportOptions) -> None:
    """Make one HTML file of score records: tables beside those of the papers, curves, failures."""
    records = read_records(options.runs)
    extras, broken = read_extras(options.runs)
    paths = [path for path in (options.out, options.csv, options.markdown) if path is not None]
    if not options.dry_run:
        write_report(records, options.out, extras)
        if options.csv is not None:
            write_text(options.csv, to_csv(records))
        if options.markdown is not None:
            write_text(options.markdown, to_markdown(records, extras))
    counts = f"{len(records.scored)} scores, {len(records.failed)} failures"
    print(f"{counts}: {', '.join(map(str, paths))}{' not written' if options.dry_run else ''}")
    for problem in (*records.problems, *broken):
        print(problem, file=sys.stderr)


VERBS: dict[str, Callable[[Any], int | None]] = {
    "linear": linear,
    "layers": layers,
    "fusion": fusion,
    "ensemble": ensemble,
    "hear": hear,
    "bgknown": bgknown,
    "retrieval": retrieval,
    "search": search,
    "additivity": additivity,
    "embed": write_embeddings,
    "report": report,
}
"""What each verb runs; the annotation says which options it has."""


def _run_all(options: ScoreOptions, jobs: Sequence[Job], paper_table: str | None = None) -> int:
    """Run jobs for all encoders; the paper's table with our scores beside it is printed last."""
    status = run_jobs(options, jobs)
    if paper_table and not options.dry_run:
        print_paper_table(paper_table, options.out)
    return status
