"""A web service with one manager: pages cached, profiled and counted, and a port to look at all of it.

python examples/web_service.py 8000 9465    # then open http://127.0.0.1:8000/pear and http://127.0.0.1:9465/
"""

import sys
import time
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from perfcore import PerformanceManager

CONFIG = {
    "caching": {"max_memory": "64MB"},
    "monitoring": {"interval": 2, "enable_profiling": True, "thresholds": {"cpu": 90, "memory": 90}},
}


def render(article: str) -> str:
    """Stand for a database and templates: 20 ms a page."""
    time.sleep(0.02)
    return f"<!doctype html><title>{escape(article)}</title><p>All about {escape(article)}."


def handler(manager: PerformanceManager) -> type[BaseHTTPRequestHandler]:
    # One renders a page that many want; for ten minutes after its end it is served while a new one is made.
    @manager.cache.cached(version=1, ttl=60, stale_ttl=600, tags=lambda article: [f"article {article}"])
    def page(article: str) -> str:
        return manager.profiler.profile("render", render, article)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = page(unquote(self.path.strip("/")) or "everything").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main(port: int, metrics_port: int) -> None:
    with PerformanceManager(CONFIG) as manager:
        server = manager.serve(port=metrics_port)
        with ThreadingHTTPServer(("127.0.0.1", port), handler(manager)) as service:
            print(f"pages at http://127.0.0.1:{service.server_port}/, figures at {server.url}", flush=True)
            try:
                service.serve_forever()
            except KeyboardInterrupt:
                print("bye")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(int(sys.argv[1]), int(sys.argv[2]))
