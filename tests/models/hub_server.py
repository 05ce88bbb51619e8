"""A Hugging Face hub on this machine: the few answers of its API that huggingface_hub asks for."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

LARGE = ["model.safetensors"]
"""Files that are uploaded apart from the commit."""
OF_ITS_OWN = "/api/agent-harnesses"
"""What huggingface_hub asks for once in a process, whatever it is used for."""


class Repository:
    """Files by commit, and commits by branch."""

    def __init__(self, private=False, gated=False):
        self.private, self.gated = private, gated
        self.commits, self.branches, self.messages = {}, {"main": None}, []

    def commit(self, files, branch="main", message=""):
        """A commit that adds files, by name, to those of the branch; returns its hash."""
        before = self.commits.get(self.branches.get(branch), {})
        sha = hashlib.sha1(f"{len(self.commits)}{branch}".encode()).hexdigest()
        self.commits[sha] = before | files
        self.branches[branch] = sha
        self.messages.append(message)
        return sha

    def found(self, revision):
        """Hash and files of a branch or commit; None if there is none."""
        sha = self.branches.get(revision, revision)
        return (sha, self.commits[sha]) if sha in self.commits else None


class Hub:
    """Repositories by name, and all that was asked."""

    TOKEN = "hf_of_the_owner"

    def __init__(self):
        self.repositories, self.large_files, self.asked = {}, {}, []
        self.after = lambda method, path: None
        """Called once a request is answered."""

    def add(self, name, folder, **about):
        """A repository with the files of a folder; returns it."""
        self.repositories[name] = repository = Repository(**about)
        repository.commit({path.name: path.read_bytes() for path in folder.iterdir()})
        return repository

    def paths(self, method):
        """What was asked for by a method, in order."""
        return [path for asked, path, _ in self.asked if asked == method]


class Refused(Exception):
    """An answer other than 200: its status, and what the hub calls the reason."""

    def __init__(self, status, code="", content=b"", **headers):
        super().__init__()
        self.answer = status, content, {"X-Error-Code": code, **headers}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path != OF_ITS_OWN:
            self.server.hub.asked.append((self.command, path, self.headers.get("Authorization")))
        try:
            status, content, headers = 200, *self.reply(path, body)
        except Refused as refused:
            status, content, headers = refused.answer
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.server.hub.after(self.command, path)

    do_HEAD = do_POST = do_PUT = do_GET

    def reply(self, path, body):
        """Content and headers."""
        words = path.strip("/").split("/")
        if path == OF_ITS_OWN:
            raise Refused(404)
        if path == "/api/repos/create":
            return self.create(json.loads(body)), {}
        if path == "/api/validate-yaml":
            return self.validate(json.loads(body)), {}
        if words[0] == "lfs":
            assert hashlib.sha256(body).hexdigest() == words[1]
            self.server.hub.large_files[words[1]] = body
            return b"", {}
        if path.endswith(".git/info/lfs/objects/batch"):
            return self.batch(json.loads(body)), {}
        if words[:2] == ["api", "models"]:
            return self.model("/".join(words[2:4]), words[4:], body), {}
        return self.file("/".join(words[:2]), words[3], "/".join(words[4:]))

    def is_owner(self):
        return self.headers.get("Authorization") == f"Bearer {Hub.TOKEN}"

    def readable(self, name):
        """The repository, if whoever asks may see it."""
        repository = self.server.hub.repositories.get(name)
        if repository is None or (repository.private and not self.is_owner()):
            raise Refused(404 if self.is_owner() else 401, "RepoNotFound")
        if repository.gated and not self.is_owner():
            raise Refused(403, "GatedRepo")
        return repository

    def file(self, name, revision, file):
        found = self.readable(name).found(revision)
        if found is None:
            raise Refused(404, "RevisionNotFound")
        sha, files = found
        if file not in files:
            raise Refused(404, "EntryNotFound", **{"X-Repo-Commit": sha})
        etag = hashlib.sha256(files[file]).hexdigest()
        return files[file], {"X-Repo-Commit": sha, "ETag": f'"{etag}"'}

    def create(self, asked):
        name = f"{asked['organization']}/{asked['name']}"
        if not self.is_owner():
            raise Refused(401)
        if name in self.server.hub.repositories:
            raise Refused(409, content={"url": f"{self.server.url}/{name}"})
        is_private = asked.get("private") or asked.get("visibility") == "private"
        self.server.hub.repositories[name] = Repository(private=bool(is_private))
        return {"url": f"{self.server.url}/{name}"}

    def validate(self, asked):
        _, head, _ = asked["content"].split("---\n", 2)
        if not yaml.safe_load(head).get("license"):
            raise Refused(400, content={"errors": [{"message": "no license"}]})
        return {"errors": [], "warnings": []}

    def batch(self, asked):
        links = [
            {"upload": {"href": f"{self.server.url}/lfs/{o['oid']}"}} for o in asked["objects"]
        ]
        objects = zip(asked["objects"], links, strict=True)
        return {"transfer": "basic", "objects": [o | {"actions": link} for o, link in objects]}

    def model(self, name, words, body):
        repository = self.readable(name)
        if not words:
            about = {"id": name, "private": repository.private, "tags": [], "downloads": 0}
            return about | {"sha": repository.branches["main"]}
        if not self.is_owner():
            raise Refused(403)
        if words[0] == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = {True: "lfs", False: "regular"}
            return {
                "files": [
                    {"path": path, "uploadMode": modes[path in LARGE], "shouldIgnore": False}
                    for path in paths
                ]
            }
        assert words == ["commit", "main"]
        head, *rest = [json.loads(line) for line in body.splitlines()]
        sha = repository.commit(dict(map(self.added, rest)), message=head["value"]["summary"])
        url = f"{self.server.url}/{name}/commit/{sha}"
        return {"commitUrl": url, "commitOid": sha, "success": True}

    def added(self, line):
        """Name and content of a file of a commit."""
        value = line["value"]
        if line["key"] == "lfsFile":
            return value["path"], self.server.hub.large_files[value["oid"]]
        assert (line["key"], value["encoding"]) == ("file", "base64")
        return value["path"], base64.b64decode(value["content"])


@contextmanager
def serving():
    """A hub without repositories, with its `url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.hub = hub = Hub()
    server.url = hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
