"""The page as a person meets it, in Chromium where that and Playwright are installed."""

import io
import json
import re
import shutil
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from byola_diff.audio.files import AudioFileError, wav_bytes
from byola_diff.explore.page import render_page
from byola_diff.explore.previews import mp3_bytes
from byola_diff.explore.run import explore
from byola_diff.explore.serve import PageServer
from tests.explore.pages import small_page, texts_of
from tests.explore.test_page import HOSTILE
from tests.explore.test_run import options_for, write_tones

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
MINUS = "\N{MINUS SIGN}"

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("bokeh")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

DESKTOP, PHONE = (1280, 800), (390, 844)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as session:
        words = ["--no-sandbox", "--autoplay-policy=document-user-activation-required"]
        browser = session.chromium.launch(executable_path=CHROMIUM, args=words)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page of five tones, their sounds and pictures inside."""
    root = tmp_path_factory.mktemp("made")
    write_tones(root / "sounds")
    assert explore(options_for(root)) == 0
    return root / "out/page.html"


@pytest.fixture
def opened(browser):
    """`opened(address or path)` is the page, ready, in which no script may have failed."""
    contexts, problems = [], []

    def open_page(where, size=DESKTOP, **how):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **how)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda told: told.type == "error" and problems.append(told.text))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.goto(where if isinstance(where, str) else where.as_uri())
        page.wait_for_selector("html[data-ready=yes]", timeout=20_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def write(tmp_path, page):
    """A page with a short sound for each clip inside."""
    sound = mp3_bytes(np.zeros(2400, np.float32))
    path = tmp_path / "page.html"
    inside = replace(page, sounds=[sound] * len(page.clips), links=())
    path.write_text(render_page(inside), encoding="utf-8")
    return path


def spot(page, row):
    """Where on the screen a clip lies on the map."""
    return page.evaluate(
        """(row) => {
          const box = map.getBoundingClientRect();
          return [box.left + (x[row] - ranges.x.start) / perPixel(),
                  box.bottom - (y[row] - ranges.y.start) / perPixel()];
        }""",
        row,
    )


def click(page, row):
    page.mouse.click(*spot(page, row))
    page.wait_for_function(f"state.chosen === {row}", timeout=5000)


def names(page, items):
    return [each.strip() for each in page.locator(f"{items} .name").all_inner_texts()]


def text(page, items):
    return page.locator(items).inner_text()


def wait_until_playing(page):
    page.wait_for_function("!player.paused && player.currentTime > 0", timeout=10_000)


def dots(page, box=None):
    """Whether each pixel of the map is neither paper nor frame."""
    from PIL import Image

    taken = page.locator("#map").screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(taken)).convert("RGB")).astype(int)
    return (abs(pixels - pixels[5, 5]).sum(axis=2) > 60)[4:-4, 4:-4]


def test_a_click_chooses_and_plays(opened, made):
    page = opened(made)
    assert text(page, "#chosen-name") == "No sound chosen yet"
    assert dots(page).sum() > 100
    click(page, 1)
    assert text(page, "#chosen-name") == "c.wav"
    assert text(page, "#chosen-about") == "0.5 s, in high"
    assert page.get_attribute("#player", "src").startswith("data:audio/mpeg;base64,")
    wait_until_playing(page)
    assert page.evaluate("player.duration") == pytest.approx(0.5, abs=0.1)
    page.wait_for_function("picture.complete && picture.naturalHeight === 64")
    assert page.get_attribute("#picture", "alt") == "Spectrogram of c.wav"
    assert text(page, "#found-title") == "Most alike to c.wav"
    assert names(page, "#found")[0] == "d.wav"
    assert len(names(page, "#found")) == 4
    told = text(page, "#status")
    assert told.startswith("c.wav, 0.5 s, in high. Most alike: d.wav")


def test_no_sound_before_one_is_asked_for(opened, made):
    page = opened(made)
    assert page.get_attribute("#player", "src") is None
    click(page, 1)
    page.uncheck("#autoplay")
    page.evaluate("player.pause()")
    click(page, 2)
    page.wait_for_function("player.readyState > 0")
    assert page.evaluate("player.paused")


def test_a_drag_moves_the_map_and_the_wheel_zooms(opened, made):
    page = opened(made)
    before = spot(page, 1)
    width, height = (page.locator("#map").bounding_box()[name] for name in ("width", "height"))
    left, top = (page.locator("#map").bounding_box()[name] for name in ("x", "y"))
    middle = left + width / 2, top + height / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 40, steps=4)
    page.mouse.up()
    page.wait_for_timeout(100)
    after = spot(page, 1)
    assert [a - b for a, b in zip(after, before, strict=True)] == pytest.approx([60, 40], abs=2)
    assert text(page, "#chosen-name") == "No sound chosen yet"
    units = page.evaluate("perPixel()")
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"perPixel() < {units} * 0.95")
    across = page.evaluate("(ranges.x.end - ranges.x.start) / map.clientWidth")
    assert across == pytest.approx(page.evaluate("perPixel()"), rel=0.01)
    page.click("#whole")
    assert spot(page, 1) == pytest.approx(before, abs=2)
    for name, factor in (("Zoom in", 1 / 1.5), ("Zoom out", 1.0)):
        page.get_by_role("button", name=name).click()
        assert page.evaluate("perPixel()") == pytest.approx(units * factor, rel=1e-6)


def test_by_keyboard_alone(opened, made):
    page = opened(made)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    assert page.evaluate("document.activeElement.id") == "map"
    page.keyboard.press("ArrowRight")  # the nearest to the middle, as none is chosen
    first = page.evaluate("state.chosen")
    reached = {first}
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowLeft") * 2:
        before = page.evaluate("state.chosen")
        page.keyboard.press(key)
        row = page.evaluate("state.chosen")
        if row != before:
            right, up = page.evaluate(f"[x[{row}] - x[{before}], y[{row}] - y[{before}]]")
            ways = {"ArrowLeft": -right, "ArrowRight": right, "ArrowUp": up, "ArrowDown": -up}
            assert ways[key] > 0
        reached.add(row)
    assert len(reached) >= 3
    wait_until_playing(page)
    page.keyboard.press("Enter")
    page.wait_for_function("player.paused")
    page.keyboard.press("a")
    assert names(page, "#terms") == [text(page, "#chosen-name")]
    page.keyboard.press("+")
    page.keyboard.press("0")
    # Lists: down through the found ones, and Enter chooses.
    page.focus("#found li:first-child button")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert text(page, "#chosen-name") == names(page, "#found")[1]
    assert page.locator("#found [aria-current=true] .name").inner_text() == names(page, "#found")[1]


def test_with_one_sound_and_without_another(opened, tmp_path):
    page_content = small_page([f"{n}.wav" for n in range(30)], [""] * 30)
    page = opened(write(tmp_path, page_content))
    page.evaluate("at('autoplay').checked = false")
    for row, name in ((4, "#plus"), (9, "#minus")):
        click(page, row)
        page.click(name)
    assert names(page, "#terms") == ["4.wav", "9.wav"]
    signs = [each.get_attribute("aria-label") for each in page.locator("#terms .sign").all()]
    assert signs == ["with", "without"]
    assert text(page, "#found-title") == f"Found: 4.wav {MINUS} 9.wav"
    vectors = page_content.vectors.astype(float)
    wanted = vectors[4] - vectors[9]
    cosines = vectors @ wanted / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wanted)
    cosines[[4, 9]] = -2
    best = np.argsort(-cosines)[:12]
    assert names(page, "#found") == [f"{row}.wav" for row in best]
    assert page.locator("#found .more").first.inner_text() == f"{cosines[best[0]]:.2f}"
    # Another choice leaves the search as it is; the sign of a term can be turned.
    click(page, 20)
    assert text(page, "#found-title") == f"Found: 4.wav {MINUS} 9.wav"
    page.get_by_role("button", name="Remove 9.wav from the search").click()
    assert text(page, "#found-title") == "Found: 4.wav"
    page.click("#clear")
    assert names(page, "#terms") == []
    assert text(page, "#found-title") == "Most alike to 20.wav"


def test_words(opened, tmp_path):
    content = small_page([f"{n}.wav" for n in range(9)], [""] * 9)
    page = opened(write(tmp_path, replace(content, texts=texts_of(content))))
    page.evaluate("at('autoplay').checked = false")
    click(page, 5)
    page.click("#plus")
    page.get_by_label("and in words").select_option("remove <b>dogs</b>")
    assert text(page, "#found-title") == "Found: 5.wav, “remove <b>dogs</b>”"
    vectors = content.vectors.astype(float)
    wanted = vectors[5] + vectors[0]
    cosines = vectors @ wanted / np.linalg.norm(vectors, axis=1)
    cosines[5] = -np.inf
    assert names(page, "#found")[0] == f"{cosines.argmax()}.wav"
    page.click("#clear")
    assert text(page, "#found-title") == "Most alike to 5.wav"


def test_find_and_groups_show_some_only(opened, tmp_path):
    files = [f"{'wet' if n % 3 else 'dry'}/{n:03}.wav" for n in range(120)]
    content = small_page(files, ["rain"] * 70 + ["dog"] * 30 + [""] * 20)
    page = opened(write(tmp_path, content))
    assert text(page, "#all-title") == "All 120 sounds"
    assert (len(names(page, "#list")), text(page, "#where")) == (50, "1 to 50")
    page.click("#after")
    page.click("#after")
    assert text(page, "#where") == "101 to 120"
    assert page.is_disabled("#after")
    legend = page.locator("#legend button").all_inner_texts()
    assert legend == ["●rain (70)", "▲dog (30)", "●no label (20)"]
    page.get_by_role("button", name="dog (30)").click()
    assert text(page, "#all-title") == "30 of 120 sounds"
    assert text(page, "#status") == "30 of 120 sounds"
    assert page.evaluate("[...shown.keys()].filter(isShown)") == list(range(70, 100))
    page.fill("#find", "DRY")
    assert text(page, "#all-title") == "10 of 120 sounds"
    hidden = spot(page, 0)
    page.mouse.click(*hidden)
    assert text(page, "#chosen-name") == "No sound chosen yet"
    page.get_by_label("Colour by").select_option("folder")
    assert text(page, "#all-title") == "40 of 120 sounds"
    page.fill("#find", "nothing at all")
    assert (text(page, "#where"), names(page, "#list")) == ("none", [])
    assert text(page, "#n-shown") == "0 of 120"  # beside the box, as the list may be out of sight
    page.fill("#find", "")
    assert text(page, "#all-title") == "All 120 sounds"
    assert page.is_hidden("#n-shown")


def test_names_are_text_only(opened, tmp_path):
    content = small_page(HOSTILE, HOSTILE, title=HOSTILE[0], notes=HOSTILE)
    page = opened(write(tmp_path, content))
    page.evaluate("at('autoplay').checked = false")
    for row in range(len(HOSTILE)):
        page.mouse.move(*spot(page, row))
        click(page, row)
        page.click("#plus")
    assert page.evaluate("document.querySelectorAll('main img').length") == 1
    assert page.evaluate("document.querySelectorAll('main b').length") == 2  # of the two buttons
    assert page.evaluate("document.querySelectorAll('main script').length") == 0
    assert page.title() == HOSTILE[0]


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_widths_and_colour_schemes(opened, tmp_path, size, scheme):
    long = "a_very_long_name_without_a_space_" * 4
    content = small_page([f"{long}{n}.wav" for n in range(3)], [long, "dog", ""], title=long)
    page = opened(write(tmp_path, content), size, color_scheme=scheme)
    page.evaluate("at('autoplay').checked = false")
    page.evaluate("choose(0); addTerm(1)")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    box = page.locator("#map").bounding_box()
    assert box["width"] > 0.5 * min(size)
    assert box["height"] >= 250
    assert dots(page).sum() > 20
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    lightness = np.mean([int(number) for number in re.findall(r"\d+", paper)[:3]])
    assert (lightness > 200) == (scheme == "light")
    marks = page.evaluate("marks.data.line")
    assert set(marks) == {"#1a1a1a" if scheme == "light" else "#ececec"}


def test_a_phone_shows_that_the_legend_goes_on(opened, tmp_path):
    page = opened(write(tmp_path, many(100)), PHONE)
    page.wait_for_selector("#legend.more-below")
    page.evaluate("at('legend').scrollTop = at('legend').scrollHeight")
    page.wait_for_selector("#legend:not(.more-below)")
    page = opened(write(tmp_path, small_page()), PHONE)
    assert page.locator("#legend.more-below").count() == 0


def test_on_a_phone_the_player_stays_in_sight_below_the_lists(opened, tmp_path):
    page = opened(write(tmp_path, many(100)), PHONE)
    page.evaluate("at('autoplay').checked = false")
    row = page.locator("#list li button").nth(40)
    row.click()
    box, chosen = page.locator("#player").bounding_box(), row.bounding_box()
    assert page.evaluate("scrollY") > PHONE[1]
    assert 0 <= box["y"] < box["y"] + box["height"] < chosen["y"]
    assert chosen["y"] < PHONE[1]


def test_touch(opened, made):
    page = opened(made, PHONE, has_touch=True, is_mobile=True)
    page.touchscreen.tap(*spot(page, 3))
    page.wait_for_function("state.chosen === 3")
    wait_until_playing(page)


def test_links_are_played_from_their_files(opened, tmp_path):
    write_tones(tmp_path / "sounds")
    explore(options_for(tmp_path, "--inside-mb", "0"))
    page = opened(tmp_path / "out/page.html")
    click(page, 2)
    wait_until_playing(page)
    assert page.get_attribute("#player", "src") == "./../sounds/high/d.wav"
    assert page.is_hidden("#picture")


def test_a_served_page(opened, made):
    data = json.loads(re.search(r'id="data">(.*?)</script>', made.read_text())[1])
    names_there = [f"{n}.wav" for n in range(len(data["names"]))]
    content = small_page(names_there, [""] * len(names_there), links=[])
    wav = (made.parent.parent / "sounds/e.wav").read_bytes()
    with serving(content, lambda number: wav) as server:
        page = opened(server.address)
        click(page, 2)
        wait_until_playing(page)
        assert page.get_attribute("#player", "src").startswith("blob:")
        assert page.evaluate("player.duration") == pytest.approx(0.5)


def test_no_other_sound_plays_under_the_name_of_one_that_is_not_there(browser):
    long, asked = wav_bytes(np.zeros(30 * 8000, np.int16), 8000, "PCM_16"), threading.Event()

    def sound(number):
        if number == 1:
            raise AudioFileError("b.wav", "unreadable: it is gone")
        if number == 2:
            asked.wait(20)
            raise OSError("no such disk")
        return long

    context = browser.new_context()
    page = context.new_page()
    with serving(small_page(links=[]), sound) as server:
        page.goto(server.address)
        page.wait_for_selector("html[data-ready=yes]")
        click(page, 0)
        wait_until_playing(page)
        page.evaluate("choose(1)")
        says(page, "unreadable: it is gone")
        assert page.evaluate("player.paused && !player.hasAttribute('src') && !player.duration")
        # What comes too late says nothing of the one that is chosen meanwhile.
        with page.expect_response("**/sound/2") as late:
            page.evaluate("choose(2); choose(0)")
            wait_until_playing(page)
            asked.set()
        assert late.value.status == 500
        late.value.finished()
        page.wait_for_timeout(50)
        assert text(page, "#chosen-about") == "dog, 1.3 s, in dogs"
        assert not page.evaluate("player.paused")
        page.route("**/sound/*", lambda route: route.abort())
        page.evaluate("choose(1)")
        says(page, "what served this page does not answer")
        assert page.evaluate("player.paused")
    context.close()


def says(page, reason):
    """Waits until it is seen, and told, why the chosen sound can't be played."""
    page.wait_for_function(
        "(reason) => at('chosen-about').textContent.endsWith(`can't be played here: ${reason}.`)",
        arg=reason,
        timeout=10_000,
    )
    assert text(page, "#status").endswith(f"b.wav can't be played here: {reason}")


@contextmanager
def serving(content, sound):
    """A server of a page, which runs within the block."""
    with PageServer(0) as server:
        server.offer(render_page(content).encode(), sound, len(content.clips))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_sound_that_is_gone_is_said(browser, tmp_path):
    context = browser.new_context()
    page = context.new_page()
    path = tmp_path / "page.html"
    path.write_text(render_page(small_page()))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    page.evaluate("choose(1)")
    page.wait_for_function("at('chosen-about').textContent.includes('its file is gone')")
    context.close()


def many(count):
    rng = np.random.default_rng(0)
    files = [f"folder_{n % 12}/{n}.wav" for n in range(count)]
    return small_page(
        files,
        [f"label {n % 25}" for n in range(count)],
        vectors=rng.integers(-9999, 9999, (count, 128)).astype(np.int16),
        positions=rng.integers(0, 65536, (count, 2)).astype(np.uint16),
    )


@pytest.mark.slow
def test_ten_thousand_stay_fluid(opened, tmp_path):
    page = opened(write(tmp_path, many(10_000)))
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})

    def work_s():
        metrics = cdp.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    page.evaluate(
        "(window.frames_ = 0, requestAnimationFrame("
        "function count() { window.frames_++; requestAnimationFrame(count); }))"
    )
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + 300, box["y"] + 200
    page.mouse.move(x, y)
    start_s, start, left = work_s(), page.evaluate("frames_"), page.evaluate("ranges.x.start")
    page.mouse.down()  # and on at once, as to hold still would be another gesture
    for step in range(60):
        page.mouse.move(x + 2 * step, y + step)
    page.wait_for_function(f"ranges.x.start < {left}")
    n_frames = page.evaluate("frames_") - start
    # Of the page's own thread, so that a busy machine does not count: 30 frames a second are 33.
    assert (work_s() - start_s) / n_frames < 0.033
    page.mouse.up()
    page.evaluate("at('autoplay').checked = false; choose(17)")
    assert len(names(page, "#found")) == 12
