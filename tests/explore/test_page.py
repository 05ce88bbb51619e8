import base64
import hashlib
import json
from html.parser import HTMLParser

import numpy as np
import pytest

from byola_diff.explore import page as page_module
from byola_diff.explore.page import render_page
from tests.explore.pages import small_page, texts_of

pytest.importorskip("bokeh")

HOSTILE = (
    "</script><script>alert(1)</script>.wav",
    '"><img src=x onerror=alert(1)>.wav',
    "<!--<script>.wav",
    "{{ 7 * 7 }}\\u2028'&amp;.wav",
)


class Elements(HTMLParser):
    """Start tags with attributes, and the text of each element that has one."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.title, self.is_open = [], {}, "", False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.is_open = True

    def handle_endtag(self, tag):
        self.is_open = False

    def handle_data(self, text):
        if not self.is_open:
            return
        tag, attributes = self.tags[-1]
        if tag == "title":
            self.title += text
        if tag == "script":
            key = attributes.get("id", len(self.tags))
            self.texts[key] = self.texts.get(key, "") + text


def elements(page):
    return Elements(render_page(page))


def content(found):
    return json.loads(found.texts["data"])


def unpacked(text, kind, columns):
    return np.frombuffer(base64.b64decode(text), kind).reshape(-1, columns)


def test_what_the_script_reads():
    page = small_page()
    data = content(elements(page))
    assert data["names"] == ["a.wav", "b.wav", "c.wav"]
    assert [data["folders"][number] for number in data["folder"]] == ["dogs", "dogs", ""]
    assert data["labels"] == ["dog"]
    assert data["label"] == [0, 0, -1]
    assert data["durations"] == [1.25] * 3
    assert (data["links"], data["isServed"]) == (["./0.wav", "./1.wav", "./2.wav"], False)
    assert unpacked(data["vectors"], "<i2", data["dim"]).tolist() == page.vectors.tolist()
    assert unpacked(data["positions"], "<u2", 2).tolist() == page.positions.tolist()
    assert data["texts"] is None


def test_texts():
    page = small_page()
    page = small_page(texts=texts_of(page))
    data = content(elements(page))["texts"]
    assert data["words"] == ["add rain", "remove <b>dogs</b>"]
    assert unpacked(data["latents"], "<i2", 4)[1].tolist() == page.vectors[0].tolist()
    assert 'id="text"' in render_page(page)
    assert 'id="text"' not in render_page(small_page())


def test_no_name_becomes_markup():
    labels = ("<script>alert(2)</script>", "</style>", "a;b", "")
    told = {"title": HOSTILE[0], "lead": HOSTILE[1], "notes": list(HOSTILE)}
    plain = elements(small_page(["a.wav"] * 4, ["b"] * 4))
    found = elements(small_page(HOSTILE, labels, **told))
    assert [tag for tag, _ in found.tags if tag != "p"] == [t for t, _ in plain.tags if t != "p"]
    assert found.title == HOSTILE[0]
    data = content(found)
    assert [
        f"{data['folders'][f]}/{n}".strip("/")
        for f, n in zip(data["folder"], data["names"], strict=True)
    ] == [name.strip("/") for name in HOSTILE]
    assert set(data["labels"]) == {*labels} - {""}
    handlers = [
        name for _, attributes in found.tags for name in attributes if name.startswith("on")
    ]
    assert handlers == []


def test_only_the_scripts_of_the_page_may_run():
    found = elements(small_page())
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv"))
    scripts = [text for key, text in found.texts.items() if isinstance(key, int)]
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.count("sha256-") == len(scripts) >= 4
    assert policy.startswith("default-src 'none';")
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert "connect-src" not in policy
    served = elements(small_page(links=[]))
    assert "connect-src 'self'" in next(a["content"] for _, a in served.tags if a.get("http-equiv"))
    assert content(served)["isServed"]


def test_nothing_comes_from_elsewhere():
    found = elements(small_page())
    addresses = [a[name] for _, a in found.tags for name in ("src", "href") if name in a]
    assert addresses == ["#all"]


def test_sounds_and_pictures_inside():
    page = small_page(pictures=[b"w0", b"w1", b"w2"], sounds=[b"m0", b"m1", b"m2"], links=[])
    found = elements(page)
    for number in range(3):
        assert base64.b64decode(found.texts[f"picture-{number}"]) == b"w%d" % number
        assert base64.b64decode(found.texts[f"sound-{number}"]) == b"m%d" % number
    assert not content(found)["isServed"]


def test_names_that_are_no_utf8():
    data = content(elements(small_page(["\udcff.wav"], [""])))
    assert data["names"] == ["\udcff.wav"]


def test_the_same_content_gives_the_same_page():
    assert render_page(small_page()) == render_page(small_page())


@pytest.mark.parametrize("script", ["a = '</SCRIPT>'", "if (a<!--b) x", "'<script>'"])
def test_a_script_that_would_end_too_soon_is_refused(script):
    with pytest.raises(ValueError, match="would end it too soon"):
        page_module._in_html(script)
