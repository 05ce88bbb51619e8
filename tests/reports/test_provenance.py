from byola_diff.reports.provenance import encoder_table, settings_table, software_table
from tests.reports.result_records import record


def test_provenance_groups_what_is_alike():
    records = [
        record("us8k", finished="2026-01-02T00:00:00Z"),
        record("esc50"),
        record("esc50", "ast", sha256=None, commit=None, settings={}),
    ]
    rows = software_table(records).rows
    span = "2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z"
    assert rows[0] == ["0123456789ab-dirty", "2", span, "torch 2.14.1"]
    assert rows[1][:2] == ["unknown", "1"]
    assert encoder_table(records).rows == [
        ["ast", "unknown", "ESC-50"],
        ["vggish", "ab" * 6, "ESC-50, US8K"],
    ]
    assert settings_table(records).rows == [
        ["evar", "ESC-50, US8K", "batch_size: 200"],
        ["evar", "ESC-50", "none"],
    ]
