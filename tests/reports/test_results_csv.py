import csv
import io
import json

from byola_diff.reports.results_csv import COLUMNS, to_csv
from byola_diff.scores import Records
from tests.reports.result_records import EVIL, record, records_of_a_report, score


def test_csv_parses_back():
    records = records_of_a_report()
    rows = list(csv.DictReader(io.StringIO(to_csv(records))))
    assert len(rows) == 7
    assert tuple(rows[0]) == COLUMNS
    first = rows[0]
    assert float(first["mean"]) == records.scored[0].scores["accuracy"].mean
    assert json.loads(first["values"]) == {"seed 42": 0.8, "seed 43": 0.82, "seed 44": 0.84}
    assert (first["status"], first["n_values"], first["layer"]) == ("ok", "3", "")
    assert rows[1]["encoder"] == EVIL
    assert json.loads(rows[1]["probe"]) == {"learning_rate": 0.001}
    assert rows[1]["ci95"] == ""
    assert [(row["layer"], row["layer_index"], row["n_layers"]) for row in rows[2:5]] == [
        *(("a", "1", "3"), ("b", "2", "3"), ("c", "3", "3")),
    ]
    assert (rows[5]["base"], json.loads(rows[5]["fusion_layers"])) == ("vggish", ["a", "c"])
    assert rows[6]["error"] == "OutOfMemoryError: no <memory>\nleft"
    assert (rows[6]["status"], rows[6]["metric"], rows[6]["mean"]) == ("failed", "", "")


def test_csv_tells_deviations():
    partial = Records((record(deviations=("test: 1, not 2",)), record("us8k")), (), ())
    rows = list(csv.DictReader(io.StringIO(to_csv(partial))))
    assert json.loads(rows[0]["deviations"]) == ["test: 1, not 2"]
    assert rows[1]["deviations"] == ""


def test_csv_has_a_line_per_metric():
    two = record(scores={"mAP": score(0.5), "d_prime": score(1.5)})
    rows = list(csv.DictReader(io.StringIO(to_csv(Records((two,), (), ())))))
    assert [(row["metric"], float(row["mean"])) for row in rows] == [("mAP", 0.5), ("d_prime", 1.5)]
