"""Recall at k, and score records: one file for each run, with values, intervals and curves."""

from byola_diff.scores.read import Records, read_records
from byola_diff.scores.record import Curve, Interval, Score, ScoreRecord, student_interval
from byola_diff.scores.write import failure_record, score_record, write_record

__all__ = [
    "Curve",
    "Interval",
    "Records",
    "Score",
    "ScoreRecord",
    "failure_record",
    "read_records",
    "score_record",
    "student_interval",
    "write_record",
]
