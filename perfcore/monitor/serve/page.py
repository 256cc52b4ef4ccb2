"""The page at ``/``: one file of HTML with style and script inside, and a policy that lets in no other.

The script draws what ``/live.json`` says. It holds no data, so anyone may have it; where a token is needed it
asks for it, or finds it in the fragment of the address, which browsers send to nobody.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from perfcore.monitor.serve.response import Response

__all__ = ["page"]


@cache
def page() -> Response:
    """Return the page."""
    parts = files("perfcore.monitor.serve") / "assets"
    style = (parts / "page.css").read_text("utf-8")
    script = "".join((parts / name).read_text("utf-8") for name in ("chart.js", "tables.js", "page.js"))
    html = (parts / "page.html").read_text("utf-8")
    body = html.replace("/* style */", style).replace("/* script */", script)
    policy = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    header = "; ".join(f"{name} {value}" for name, value in policy.items())
    return Response(body.encode(), "text/html; charset=utf-8", headers={"Content-Security-Policy": header})


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
