"""A Hugging Face hub on loopback for huggingface_hub: downloads, listings and uploads, and several ways to fail."""

import base64
import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import pytest

COMMIT, NEXT_COMMIT = (hashlib.sha1(name).hexdigest() for name in (b"small hub", b"small hub, later"))
LARGE = ".safetensors"  # what the hub keeps in its large file store, by SHA-256

# "cut" ends each transfer half-way, "cut-once" only the first; "damaged" sends bytes that do not fit the checksum;
# "short" announces more bytes than it sends; "portal" answers every request with a web page; "trickle" never ends its
# headers; "moving" gets a new commit after the first small file.
TOKEN = "hf_secretOfTheTests"  # may write to repositories of OWNER
OWNER = "owner"

Fault = Literal["http-500", "cut", "cut-once", "damaged", "short", "portal", "trickle", "moving"]


class HubServer:
    """`with HubServer() as server: server.add("owner/name", directory)`; `server.url` is its HF_ENDPOINT."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.requests: Counter[str] = Counter()  # by "METHOD file name"
        self.fault: Fault | None = None
        self.commit = COMMIT  # of main
        self.pushed: dict[str, list[tuple[str, dict[str, bytes]]]] = {}  # commits of repositories, the last one is main
        self.private: set[str] = set()
        self.large: dict[str, bytes] = {}  # uploaded by SHA-256
        self.stated: dict[str, dict[str, Any]] = {}  # by path: what the listing states in place of the truth
        self.after_listing: Callable[[], None] = lambda: None
        self.tokens: list[str | None] = []  # of requests that write
        self.stopped = Event()
        hub = self

        class Handler(_Handler):
            server_of_files = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, repo_id: str, directory: Path) -> None:
        """Offer the files of `directory` as those of `repo_id`."""
        self.repos[repo_id] = {
            path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
        }

    def at(self, repo_id: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and the files of a revision."""
        commits = self.pushed.get(repo_id, [])
        if commits and revision == "main":
            return commits[-1]
        for commit, files in commits:
            if commit == revision:
                return commit, files
        if repo_id in self.repos and revision in ("main", COMMIT, NEXT_COMMIT):
            return self.commit if revision == "main" else revision, self.repos[repo_id]
        return None

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> "HubServer":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def use_hub(server: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make huggingface_hub in this process use `server` and the cache directory `cache`, without time limits."""
    from huggingface_hub import constants  # reads the environment once

    from avscene.models.weights import hub

    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the storage of large files that this hub lacks
    for limit in ("CHECK_SECONDS", "FIRST_ANSWER_SECONDS"):  # a busy machine may take long
        monkeypatch.setattr(hub, limit, 1e4)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_files: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._write()

    def do_PUT(self) -> None:
        self._write()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _answer(self) -> None:
        hub = self.server_of_files
        if hub.stopped.is_set():  # a connection from before
            self.close_connection = True
            return
        path = self.path.strip("/")
        hub.requests[f"{self.command} {path.rsplit('/', 1)[-1]}"] += 1
        if hub.fault == "trickle":
            self._trickle()
        elif hub.fault == "http-500":
            self._send(500, {}, b"broken")
        elif hub.fault == "portal":
            self._send(200, {}, b"<html>Please log in to this network</html>")
        elif path.startswith("store/"):
            _, owner, name, commit, filename = unquote(path).split("/", 4)
            found = hub.at(f"{owner}/{name}", commit)
            assert found is not None
            self._transfer(found[1][filename])
        elif path.startswith("api/models/"):
            self._list(urlsplit(path).path.removeprefix("api/models/"))
        else:
            self._resolve(path)

    def _trickle(self) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(OSError):  # the client has gone
            self.wfile.write(b"X-Wait: ")
            while not self.server_of_files.stopped.wait(0.05):
                self.wfile.write(b".")

    def _resolve(self, path: str) -> None:
        """/{owner}/{name}/resolve/{revision}/{file}: small files at once, large ones from their store."""
        repo_id, _, rest = unquote(path).partition("/resolve/")
        revision, _, filename = rest.partition("/")
        hub = self.server_of_files
        found = hub.at(repo_id, revision)
        if found is None:
            self._send(404, {"X-Error-Code": "RepoNotFound"})
            return
        commit, files = found
        common = {"X-Repo-Commit": commit}
        if filename not in files:
            self._send(404, common | {"X-Error-Code": "EntryNotFound"})
        elif filename.endswith(LARGE):
            content = files[filename]
            size = len(content) + 1000 * (hub.fault == "short")
            digest = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(size)}
            # The store is another host, or the client would follow at once and miss these headers.
            store = hub.url.replace("127.0.0.1", "localhost")
            self._send(302, common | linked | {"Location": f"{store}/store/{repo_id}/{commit}/{filename}"})
        else:
            content = files[filename]
            self._send(200, common | {"ETag": f'"{git_hash(content)}"'}, content)
            if hub.fault == "moving" and self.command == "GET":
                hub.commit = NEXT_COMMIT

    def _transfer(self, content: bytes) -> None:
        hub = self.server_of_files
        if hub.fault == "damaged":
            content = content[:-1] + bytes([content[-1] ^ 1])
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        ranged = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
        if hub.fault in ("cut", "cut-once"):
            self.close_connection = True
            half = None if hub.fault == "cut" and first else content[first : len(content) // 2]
            hub.fault = None if hub.fault == "cut-once" else "cut"
            self._send(206 if first else 200, ranged, half or b"", promised=len(content) - first)
        else:
            self._send(206 if first else 200, ranged, content[first:])

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"", promised: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_json(self, value: Any, status: int = 200) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _list(self, path: str) -> None:
        """/{owner}/{name}[/revision/{revision}]: the files of a commit."""
        repo_id, _, revision = unquote(path).partition("/revision/")
        hub = self.server_of_files
        found = hub.at(repo_id, revision or "main")
        if found is None:
            known = hub.at(repo_id, "main") is not None
            self._send(404, {"X-Error-Code": "RevisionNotFound" if known else "RepoNotFound"})
            return
        commit, files = found
        siblings = [_sibling(name, content) | hub.stated.get(name, {}) for name, content in files.items()]
        self._send_json({"id": repo_id, "sha": commit, "private": repo_id in hub.private, "siblings": siblings})
        hub.after_listing()

    def _write(self) -> None:
        hub = self.server_of_files
        if hub.stopped.is_set():
            self.close_connection = True
            return
        path = unquote(urlsplit(self.path).path).strip("/")
        body = self._body()
        hub.requests[f"{self.command} {path.rsplit('/', 1)[-1]}"] += 1
        if hub.fault == "http-500":
            self._send(500, {}, b"broken")
            return
        if path.startswith("upload/"):  # its address is the permission
            assert hashlib.sha256(body).hexdigest() == path.removeprefix("upload/")
            hub.large[path.removeprefix("upload/")] = body
            self._send(200, {})
            return
        token = self.headers.get("Authorization")
        hub.tokens.append(token)
        if token != f"Bearer {TOKEN}":
            self._send(401, {}, b"Invalid username or password.")
        elif path == "api/repos/create":
            self._create(json.loads(body))
        elif path == "api/validate-yaml":
            self._send_json({"errors": [], "warnings": []})
        elif path.endswith("/info/lfs/objects/batch"):
            self._offer_uploads(json.loads(body))
        elif "/preupload/" in path:
            before = hub.pushed[path.removeprefix("api/models/").partition("/preupload/")[0]][-1][1]
            self._send_json({"files": [_upload(file["path"], before) for file in json.loads(body)["files"]]})
        else:
            repo_id = path.removeprefix("api/models/").partition("/commit/")[0]
            self._commit(repo_id, [json.loads(line) for line in body.splitlines()])

    def _create(self, wanted: dict[str, Any]) -> None:
        hub, repo_id = self.server_of_files, f"{wanted['organization']}/{wanted['name']}"
        if wanted["organization"] != OWNER:
            self._send(403, {}, b"You don't have the rights to create a model under this namespace")
        elif hub.at(repo_id, "main") is not None:
            self._send_json({"url": f"{hub.url}/{repo_id}"}, 409)
        else:
            if wanted.get("visibility") == "private" or wanted.get("private"):
                hub.private.add(repo_id)
            hub.pushed[repo_id] = [(hashlib.sha1(repo_id.encode()).hexdigest(), {".gitattributes": b"*.bin lfs\n"})]
            self._send_json({"url": f"{hub.url}/{repo_id}"})

    def _offer_uploads(self, wanted: dict[str, Any]) -> None:
        objects = []
        for item in wanted["objects"]:
            upload = {"upload": {"href": f"{self.server_of_files.url}/upload/{item['oid']}"}}
            objects.append(item | ({} if item["oid"] in self.server_of_files.large else {"actions": upload}))
        self._send_json({"transfer": "basic", "objects": objects})

    def _commit(self, repo_id: str, lines: list[dict[str, Any]]) -> None:
        hub = self.server_of_files
        parent, before = hub.pushed[repo_id][-1]
        files = dict(before)
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                assert value.get("parentCommit") == parent
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                assert line["key"] == "lfsFile"
                files[value["path"]] = hub.large[value["oid"]]
        content = json.dumps([parent, {name: hashlib.sha256(files[name]).hexdigest() for name in files}])
        commit = hashlib.sha1(content.encode()).hexdigest()
        hub.pushed[repo_id].append((commit, files))
        self._send_json({"commitUrl": f"{hub.url}/{repo_id}/commit/{commit}", "commitOid": commit, "success": True})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def git_hash(content: bytes) -> str:
    """The hash by which Git stores a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _upload(name: str, before: dict[str, bytes]) -> dict[str, Any]:
    """How a file is uploaded, and the hash of what the repository has under its name."""
    is_large, content = name.endswith(LARGE), before.get(name)
    kept = None if content is None else hashlib.sha256(content).hexdigest() if is_large else git_hash(content)
    return {"path": name, "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False, "oid": kept}


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    """What the hub's listing states of a file."""
    file = {"rfilename": name, "size": len(content), "blobId": git_hash(content)}
    if name.endswith(LARGE):
        lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return file | {"lfs": lfs}
    return file
