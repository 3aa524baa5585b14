"""A server, which logs in colour, works a little and holds memory: ``serve.py PORT healthy|unhealthy MB``."""

import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

_COLOURS = {2: "\x1b[32m", 3: "\x1b[32m", 4: "\x1b[33m", 5: "\x1b[31m"}
_PATHS = [
    "/",
    "/cart",
    "/products/42",
    "/products/7?size=m",
    "/search?q=lamp",
    "/checkout",
    "/assets/app.css",
]
_SLOWEST_SECONDS = 0.7


class Handler(BaseHTTPRequestHandler):
    is_healthy = sys.argv[2] == "healthy"

    def do_GET(self) -> None:
        self.send_response(200 if self.is_healthy else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def be_visited() -> None:
    while True:
        status = random.choices([200, 304, 404, 502], [80, 14, 5, 1])[0]
        coloured = f"{_COLOURS[status // 100]}{status}\x1b[0m"
        moment = time.strftime("%H:%M:%S")
        print(f"{moment} {coloured} GET {random.choice(_PATHS)} {random.randint(2, 90)} ms", flush=True)
        if status == 502:
            print(f"{moment} upstream closed the connection, trying the next", file=sys.stderr, flush=True)
        end = time.process_time() + random.random() * 0.05
        while time.process_time() < end:
            pass
        time.sleep(random.random() * _SLOWEST_SECONDS)


if __name__ == "__main__":
    held = bytearray(b"x" * int(sys.argv[3]) * 1_000_000)
    threading.Thread(target=be_visited, daemon=True).start()
    print(f"listening on port {sys.argv[1]}", flush=True)
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
