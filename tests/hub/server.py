"""A small Hub on 127.0.0.1: the part of its HTTP protocol that huggingface_hub uses here.

`repos` maps "user/repo" to {file name: bytes}. The other attributes make it misbehave.
"""

import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

DATA = b"GGUF" + bytes(range(256)) * 40
COMMIT = "c0ffee" + "0" * 34


class FakeHub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repos):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos = repos
        self.gated = set()  # repositories whose files need their terms accepted
        self.hidden = set()  # and those that do not even list them
        self.cut_at = None  # the next transfer ends after so many bytes
        self.cuts = False  # every transfer does
        self.ranges = True  # are they understood?
        self.busy = 0  # so many transfers are answered with 503
        self.corrupt = False  # send other bytes than the SHA-256 tells
        self.status = None  # answer everything with it
        self.files_elsewhere = None  # redirect transfers to this address
        self.requests = []  # (method, path, headers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()

    def transfers(self):
        """The Range headers of the downloads so far."""
        return [h.get("Range") for m, p, h in self.requests if m == "GET" and "/resolve/" in p]

    def handle_error(self, request, client_address):
        """A client that hangs up early is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def log_message(self, *args):
        pass

    def answer(self):
        hub = self.server
        hub.requests.append((self.command, self.path, dict(self.headers)))
        url = urlsplit(self.path)
        parts = unquote(url.path).strip("/").split("/")
        if hub.status:
            self.reply(hub.status)
        elif parts == ["api", "models"]:
            self.reply(200, hub_search(hub.repos, parse_qs(url.query)))
        elif parts[:2] == ["api", "models"]:
            self.model_info("/".join(parts[2:4]))
        elif parts[2:3] == ["resolve"]:
            self.resolve("/".join(parts[:2]), "/".join(parts[4:]))
        else:
            self.reply(200)

    def model_info(self, repo):
        if repo in self.server.hidden:
            self.reply(403, error="GatedRepo")
        elif repo not in self.server.repos:
            self.reply(401, error="RepoNotFound")
        else:
            siblings = [
                {
                    "rfilename": name,
                    "size": len(data),
                    "blobId": "0",
                    "lfs": {"size": len(data), "sha256": sha256(data), "pointerSize": 1},
                }
                for name, data in self.server.repos[repo].items()
            ]
            self.reply(200, {"id": repo, "sha": COMMIT, "siblings": siblings, "tags": ["gguf"]})

    def resolve(self, repo, name):
        data = self.server.repos.get(repo, {}).get(name)
        if repo in self.server.gated:
            return self.reply(403, error="GatedRepo")
        if data is None:
            return self.reply(404, error="EntryNotFound")
        headers = {
            "ETag": f'"{sha256(data)}"',
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "Accept-Ranges": "bytes",
        }
        if self.server.files_elsewhere:
            headers["Location"] = self.server.files_elsewhere + self.path
            headers["X-Linked-ETag"] = headers.pop("ETag")
            return self.reply(302, headers=headers)
        if self.server.corrupt:
            data = bytes(len(data))
        return self.send_file(data, headers)

    def send_file(self, data, headers):
        if self.server.busy and self.command == "GET":
            self.server.busy -= 1
            return self.reply(503)
        start, end, asked = 0, len(data), self.server.ranges and self.headers.get("Range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(len(data), int(last) + 1 if last else len(data))
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        self.send_head(206 if asked else 200, headers, end - start)
        if self.command == "HEAD":
            return None
        cut = self.server.cut_at
        self.server.cut_at = cut if self.server.cuts else None
        self.wfile.write(data[start : min(end, start + cut)] if cut else data[start:end])
        if cut:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        return None

    def reply(self, status, value=None, *, error=None, headers=None):
        body = b"" if value is None else json.dumps(value).encode()
        extra = {"X-Error-Code": error, "X-Error-Message": error} if error else {}
        self.send_head(status, {**(headers or {}), **extra}, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_head(self, status, headers, length):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def hub_search(repos, query):
    words = query.get("search", [""])[0].lower().split()
    assert query.get("filter") == ["gguf"]
    author = query.get("author", [""])[0]
    found = [name for name in repos if all(w in name.lower() for w in words) and name.startswith(author)]
    found = found[: int(query["limit"][0])]
    return [
        {
            "id": name,
            "downloads": 1000 - i,
            "likes": i,
            "lastModified": "2026-01-02T03:04:05.000Z",
            "tags": ["gguf"],
        }
        for i, name in enumerate(found)
    ]


def sha256(data):
    return hashlib.sha256(data).hexdigest()
