"""A client of a service that fails now and then: its callers get the last good answer.

python examples/api_client.py
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import urlopen

from perfcore import cached


class Rates(BaseHTTPRequestHandler):
    """The other side: an exchange rate that moves, until it is down."""

    down = False
    asked = 0

    def do_GET(self) -> None:
        Rates.asked += 1
        if Rates.down:
            self.send_error(503)
            return
        body = json.dumps({"EUR": 1.0, "USD": 1.0 + Rates.asked / 100}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Rates)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/rates"

    # Fresh for a tenth of a second; for an hour after that an old answer is better than none.
    @cached(ttl=0.1, stale_on_error=3600)
    def rate(currency: str) -> float:
        try:
            with urlopen(url, timeout=2) as answer:
                return float(json.load(answer)[currency])
        except HTTPError as error:
            error.close()
            raise

    first = rate("USD")
    together = [threading.Thread(target=rate, args=("EUR",)) for _ in range(20)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    print(f"21 calls, {Rates.asked} requests")
    Rates.down = True
    time.sleep(0.2)
    during = rate("USD")
    print(f"the service is down, and the rate is {'still' if during == first else 'now'} {during:.2f}")
    Rates.down = False
    print(f"it is back: {'a new rate' if rate('USD') != first else 'the old one'}")
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    main()
