"""A page served to the browsers of this machine alone, with its clips as they lie in their files.

Whoever has the address may read the page and hear the clips of its list, and nothing else: clips go
by their numbers, no path is taken from a request. The address has a secret word, and is answered
under the names of this machine only, so that neither other users nor pages of others come to it.
"""

import re
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from byola_diff.audio.files import AudioFileError
from byola_diff.stopping import TerminatedError

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")


class PageServer(ThreadingHTTPServer):
    """Serves one page; `serve_forever` does so until `shutdown`."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        """Listen already, so that no other has the port; 0 is any. `offer` says what to serve.

        Raises:
            OSError: If the port is in use.
        """
        super().__init__((HOST, port), _Handler)
        self.word = secrets.token_urlsafe(12)

    def offer(self, page: bytes, sound: Callable[[int], bytes], n_clips: int) -> None:
        """Serve this. `sound` gives the wav file of a clip by its number."""
        self.page, self.sound, self.n_clips = page, sound, n_clips

    @property
    def address(self) -> str:
        """The URL of the page."""
        return f"http://{HOST}:{self.server_port}/{self.word}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say what failed, unless a browser went away, as it does when another sound is chosen."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]


def serve_until_stopped(server: PageServer) -> None:
    """Serve the page until Ctrl-C, which ends this as meant."""
    try:
        server.serve_forever()
    except TerminatedError:
        raise
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "byola-diff", ""

    def do_GET(self) -> None:
        """The page, a sound, or 404; 403 under a name that is not this machine's."""
        host = self.headers.get("Host", "")
        if host not in [f"{name}:{self.server.server_port}" for name in _NAMES]:
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"not under this name\n")
            return
        found = re.fullmatch(rf"/{re.escape(self.server.word)}/(?:sound/(\d{{1,9}}))?", self.path)
        if found is None:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such page\n")
        elif found[1] is None:
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
        else:
            self._answer_sound(int(found[1]))

    def _answer_sound(self, number: int) -> None:
        if number >= self.server.n_clips:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"no such sound\n")
            return
        try:
            content = self.server.sound(number)
        except AudioFileError as error:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", _line(error.reason))
        except Exception as error:  # out of memory, a disk that is gone: of this sound alone
            reason = _line(str(error) or type(error).__name__)
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", reason)
        else:
            self._answer(HTTPStatus.OK, "audio/wav", content)

    def _answer(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are of no interest."""


def _line(reason: str) -> bytes:
    """The reason in one line; names of files in it may be of bytes that are not UTF-8."""
    return f"{' '.join(reason.split())}\n".encode(errors="replace")
