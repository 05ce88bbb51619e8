import http.client
import threading

import pytest

from byola_diff.audio.files import AudioFileError
from byola_diff.explore.serve import PageServer, serve_until_stopped
from byola_diff.stopping import TerminatedError


def sound(number):
    if number == 1:
        raise AudioFileError("gone.wav", "unreadable: it is gone")
    if number == 2:
        raise AudioFileError("gone.wav", "unreadable:\nn\udce9e")
    if number == 3:
        raise MemoryError
    return b"RIFF" + bytes([number])


@pytest.fixture
def server():
    server = PageServer(0)
    server.offer(b"<p>page</p>", sound, 4)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def answer(server, path, method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    try:
        headers = {} if host is None else {"Host": host}
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def test_the_page_and_the_sounds_by_number(server):
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.word}/"
    status, content, headers = answer(server, f"/{server.word}/")
    assert (status, content) == (200, b"<p>page</p>")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, content, headers = answer(server, f"/{server.word}/sound/0")
    assert (status, content, headers["Content-Type"]) == (200, b"RIFF\0", "audio/wav")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, (404, b"unreadable: it is gone\n")),
        (2, (404, b"unreadable: n?e\n")),
        (3, (500, b"MemoryError\n")),
    ],
)
def test_a_sound_that_can_no_longer_be_read_says_so(server, number, expected, capsys):
    status, content, _ = answer(server, f"/{server.word}/sound/{number}")
    assert (status, content) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "path",
    [
        "",
        "sound/4",
        "sound/-1",
        "sound/",
        "sound/1x",
        "sound/../x",
        "../x",
        "?x",
        "sound/99999999999",
    ],
)
def test_nothing_else_is_answered(server, path):
    given = f"/{server.word}/{path}" if path else "/"
    status, _, _ = answer(server, given)
    assert status == 404


def test_only_who_knows_the_word_and_only_by_names_of_this_machine(server):
    assert answer(server, "/guess/")[0] == 404
    with PageServer(0) as other:
        assert other.word != server.word
    port = server.server_port
    assert answer(server, f"/{server.word}/", host=f"localhost:{port}")[0] == 200
    for host in (f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1"):
        assert answer(server, f"/{server.word}/", host=host)[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_sent(server, method):
    assert answer(server, f"/{server.word}/", method)[0] == 501


def test_it_listens_to_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(OSError, match="in use"):
        PageServer(server.server_port)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, TerminatedError])
def test_how_it_ends(stop, monkeypatch):
    def stopped(self):
        raise stop

    monkeypatch.setattr(PageServer, "serve_forever", stopped)
    server = PageServer(0)
    if stop is TerminatedError:
        with pytest.raises(TerminatedError):
            serve_until_stopped(server)
    else:
        serve_until_stopped(server)
    assert server.fileno() == -1  # closed
