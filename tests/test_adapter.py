"""The command `byola-diff adapter`, and the page that shows what it prints."""

import re

import pytest
import yaml

from byola_diff.adapters.paste import SUITES
from byola_diff.commands.adapter import main
from byola_diff.encoders.open import open_encoder
from tests.helpers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "boards.md").read_text()


def printed(capsys, *words):
    assert main(words) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("suite", SUITES)
def test_the_page_shows_what_is_printed(suite, capsys):
    text = printed(capsys, suite)
    shown = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if block in text]
    assert shown, f"docs/boards.md shows nothing of {suite}"
    assert f"byola-diff adapter {suite}" in PAGE


def test_every_block_of_the_page_is_printed(capsys):
    texts = [printed(capsys, suite) for suite in SUITES]
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        assert any(block in text for text in texts), block


@pytest.mark.parametrize("suite", SUITES)
def test_encoder_of_a_user(suite, capsys):
    spec = "byola-diff-small[fc1,output]"
    text = printed(capsys, suite, "--encoder", spec)
    assert text.count(f'"{spec}"') == 1
    assert '"byola-diff"' not in text


def test_configuration_of_evar(capsys):
    text = printed(capsys, "evar", "--encoder", "byola-diff-small")
    config = yaml.safe_load(text.partition("# config/byola_diff.yaml\n")[2])
    assert config["content_hash"] == open_encoder("byola-diff-small").content_hash
    assert (config["sample_rate"], config["feature_d"]) == (16_000, 512)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["mteb", "--encoder", "nowhere/bundle"], "nothing at nowhere/bundle"),
        (["xares", "--encoder", "byola-dif"], "did you mean 'byola-diff'"),
    ],
)
def test_encoders_that_are_not_there(words, match, capsys):
    assert main(words) == 2
    told = capsys.readouterr()
    assert match in told.err
    assert not told.out


def test_unknown_suites(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["metb"])
    assert stopped.value.code == 2
    assert "none of mteb, xares, s3prl, evar" in capsys.readouterr().err
