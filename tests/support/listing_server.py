"""Serve the pages of a bucket on loopback that has any number of objects, none of which exists."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

_OBJECT = "<Contents><Key>{}</Key><Size>1000</Size><ETag>&quot;1&quot;</ETag></Contents>"


def start_listing_server(n_objects: int) -> str:
    """Serve a bucket with `n_objects` recordings until the process ends, and return the URL of the service."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            begin, size = int(query.get("continuation-token", 0)), int(query["max-keys"])
            end = min(begin + size, n_objects)
            objects = "".join(_OBJECT.format(f"{query['prefix']}{n:012d}.mp4") for n in range(begin, end))
            more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < n_objects else ""
            state = f"<IsTruncated>{str(end < n_objects).lower()}</IsTruncated>{more}"
            content = f"<ListBucketResult>{state}{objects}</ListBucketResult>".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
