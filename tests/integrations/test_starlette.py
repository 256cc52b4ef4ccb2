"""Responses through ResponseCache are the application's, told less often; real Starlette and FastAPI."""

import asyncio
import time
from contextlib import asynccontextmanager, nullcontext

import httpx
import pytest
from effort import effort
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

from perfcore.cache import CacheManager
from perfcore.integrations.starlette import RequestMetrics, ResponseCache, metrics_endpoint
from perfcore.metrics import Registry


class Origin:
    """An application whose next response is ``answer``, and that counts how often it was asked."""

    def __init__(self):
        self.asked, self.answer, self.pause = 0, None, 0

    async def endpoint(self, request):
        self.asked += 1
        if self.pause:
            await asyncio.sleep(self.pause)
        return self.answer(request)

    def says(self, body="hello", status=200, **headers):
        spelled = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda request: PlainTextResponse(body, status, spelled)


METHODS = ["GET", "POST", "PUT", "DELETE"]


@asynccontextmanager
async def client(origin, **options):
    middleware = [Middleware(ResponseCache, registry=Registry(), **options)]
    app = Starlette(routes=[Route("/{path:path}", origin.endpoint, methods=METHODS)], middleware=middleware)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as made:
        yield made


async def asked(first=None, again=None, *, method="GET", status=200, body="hello", **headers):
    """Return how often the application was asked in two requests."""
    origin = Origin()
    origin.says(body, status, **headers)
    async with client(origin) as web:
        one = await web.request(method, "/a", headers=first)
        two = await web.request(method, "/a", headers=again if again is not None else first)
        assert one.content == two.content and one.status_code == two.status_code == status
        return origin.asked


# --- what is kept -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    ["max-age=60", "public, max-age=60", "s-maxage=60, max-age=0", 'MAX-AGE="60"', "max-age=60,max-age=90"],
)
async def test_what_says_that_it_is_fresh_is_asked_for_once(said):
    assert await asked(cache_control=said) == 1


@pytest.mark.parametrize(
    "said",
    [
        "no-store, max-age=60",
        "private, max-age=60",
        "no-cache, max-age=60",
        'private="x", max-age=60',
        "max-age=0",
        "max-age=60, max-age=0",
        "s-maxage=0, max-age=60",
        "max-age=abc",
        "max-age=-1",
        "public",
    ],
)
async def test_what_does_not_say_so_is_asked_for_each_time(said):
    assert await asked(cache_control=said) == 2


@pytest.mark.parametrize("status", [201, 302, 404, 500, 503])
async def test_errors_are_not_kept(status):
    assert await asked(status=status, cache_control="max-age=60") == 2


@pytest.mark.parametrize(
    "headers", [{"set_cookie": "a=b"}, {"vary": "*"}, {"age": "60"}, {"content_range": "x"}]
)
async def test_what_is_for_one_user_or_one_moment_is_not_kept(headers):
    assert await asked(cache_control="public, max-age=60", **headers) == 2


@pytest.mark.parametrize("name", ["authorization", "cookie"])
async def test_who_says_who_he_is_shares_only_what_is_public(name):
    me, you = {name: "me"}, {name: "you"}
    assert await asked(me, you, cache_control="max-age=60") == 2
    assert await asked({}, you, cache_control="max-age=60") == 2
    assert await asked(me, {}, cache_control="max-age=60") == 2
    assert await asked(me, you, cache_control="public, max-age=60") == 1
    assert await asked(me, you, cache_control="s-maxage=60") == 1


@pytest.mark.parametrize("first", [{"cache-control": "no-store"}, {"range": "bytes=0-1"}])
async def test_requests_that_want_none_of_it_are_passed_on(first):
    assert await asked(first, cache_control="max-age=60") == 2


async def test_a_request_may_ask_for_what_is_new():
    for said in ({"cache-control": "no-cache"}, {"cache-control": "max-age=0"}, {"pragma": "no-cache"}):
        assert await asked({}, said, cache_control="max-age=60") == 2


async def test_responses_that_vary_are_kept_apart():
    origin = Origin()
    origin.answer = lambda request: PlainTextResponse(
        request.headers.get("accept-language", ""),
        headers={"vary": "Accept-Language", "cache-control": "max-age=9"},
    )
    async with client(origin) as web:
        for _ in range(2):
            for language in ("de", "en", ""):
                headers = {"accept-language": language} if language else {}
                assert (await web.get("/a", headers=headers)).text == language
        assert origin.asked == 3
        await web.post("/a")
        for language in ("de", "en"):
            await web.get("/a", headers={"accept-language": language})
        assert origin.asked == 6


async def test_a_change_ends_what_is_kept_and_what_is_under_way():
    origin = Origin()
    origin.says("old", cache_control="max-age=60")
    async with client(origin) as web:
        await web.get("/a")
        origin.says("new", cache_control="max-age=60")
        await web.put("/a")
        assert (await web.get("/a")).text == "new"
        origin.pause = 0.05
        slow = asyncio.create_task(web.get("/b"))
        await asyncio.sleep(0.01)
        origin.pause = 0
        await web.post("/b")
        await slow
        origin.says("newest", cache_control="max-age=60")
        assert (await web.get("/b")).text == "newest"


async def test_hosts_paths_and_queries_are_different_addresses():
    origin = Origin()
    origin.answer = lambda request: PlainTextResponse(
        str(request.url), headers={"cache-control": "max-age=9"}
    )
    async with client(origin) as web:
        for url in ("/a", "/a?x=1", "/a?x=2", "/b", "http://other/a", "https://test/a", "/a%2Fb", "/a/b") * 2:
            assert (await web.get(url)).status_code == 200
        assert origin.asked == 8


async def test_a_head_is_answered_with_the_headers_of_a_get():
    origin = Origin()
    origin.says(cache_control="max-age=60")
    async with client(origin) as web:
        got = await web.get("/a")
        head = await web.head("/a")
        assert origin.asked == 1 and head.content == b""
        assert head.headers["content-length"] == got.headers["content-length"] == "5"


# --- validation, age ----------------------------------------------------------------------------------------


async def test_who_has_it_already_is_told_so():
    origin = Origin()
    origin.says(cache_control="max-age=60", x_other="1")
    async with client(origin) as web:
        tag = (await web.get("/a")).headers["etag"]
        for wanted in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
            again = await web.get("/a", headers={"if-none-match": wanted})
            assert (again.status_code, again.content) == (304, b"") and again.headers["etag"] == tag
            assert "x-other" not in again.headers
        assert (await web.get("/a", headers={"if-none-match": '"x"'})).status_code == 200
        assert origin.asked == 1


async def test_an_etag_of_the_application_stays():
    origin = Origin()
    origin.says(cache_control="max-age=60", etag='"mine"')
    async with client(origin) as web:
        assert (await web.get("/a")).headers["etag"] == '"mine"'
        assert (await web.get("/a", headers={"if-none-match": '"mine"'})).status_code == 304


async def test_the_age_is_told_and_what_came_aged_is_fresh_for_less(monkeypatch):
    origin = Origin()
    origin.says(cache_control="max-age=60", age="20")
    async with client(origin) as web:
        await web.get("/a")
        assert (await web.get("/a")).headers["age"] == "20"
        real = time.time
        monkeypatch.setattr("perfcore.integrations.starlette.kept.time", lambda: real() + 39)
        assert (await web.get("/a")).headers["age"] == "59" and origin.asked == 1


# --- many at once -------------------------------------------------------------------------------------------


async def test_of_those_who_ask_at_once_one_asks_the_application():
    origin = Origin()
    origin.says(cache_control="max-age=60")
    origin.pause = 0.05
    async with client(origin) as web:
        told = await asyncio.gather(*(web.get("/a") for _ in range(20)))
        assert {one.text for one in told} == {"hello"} and origin.asked == 1


async def test_what_is_not_kept_is_not_waited_for():
    origin = Origin()
    origin.says(cache_control="no-store")
    origin.pause = 0.1
    async with client(origin) as web:
        await web.get("/a")
        start = time.monotonic()
        await asyncio.gather(*(web.get("/a") for _ in range(10)))
        assert origin.asked == 11 and time.monotonic() - start < 0.5


async def test_who_is_cancelled_or_fails_leaves_nobody_hanging():
    origin = Origin()
    origin.says(cache_control="max-age=60")
    origin.pause = 0.1
    async with client(origin) as web:
        first = asyncio.create_task(web.get("/a"))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(web.get("/a"))
        await asyncio.sleep(0.02)
        first.cancel()
        assert (await asyncio.wait_for(second, 5)).text == "hello"

        def broken(request):
            raise RuntimeError("broken")

        origin.answer = broken
        found = await asyncio.gather(*(web.get("/b") for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in found] == [RuntimeError] * 3


async def test_a_stale_response_is_told_while_the_application_is_asked_behind(monkeypatch):
    origin = Origin()
    origin.says("old", cache_control="max-age=5, stale-while-revalidate=600")
    async with client(origin) as web:
        await web.get("/a")
        origin.says("new", cache_control="max-age=60")
        real = time.time
        monkeypatch.setattr("perfcore.integrations.starlette.kept.time", lambda: real() + 7)
        assert (await web.get("/a", headers={"if-none-match": '"x"'})).text == "old"
        await asyncio.sleep(0.05)
        assert (await web.get("/a")).text == "new" and origin.asked == 2


# --- large and streamed -------------------------------------------------------------------------------------


async def test_what_is_too_large_is_passed_on_and_not_kept():
    assert await asked(body="x" * 2_000_000, cache_control="max-age=60") == 2


async def test_a_stream_that_is_not_kept_arrives_as_it_is_made():
    sent, gate = [], asyncio.Event()

    async def parts():
        yield b"first"
        await gate.wait()
        yield b"second"

    async def app(scope, receive, send):
        await StreamingResponse(parts())(scope, receive, send)

    async def send(message):
        sent.append(message.get("body"))
        if message.get("body") == b"first":
            gate.set()

    async def receive():
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.4"}}
    cached = ResponseCache(app, registry=Registry())
    await asyncio.wait_for(cached(scope, receive, send), 5)
    assert [part for part in sent if part] == [b"first", b"second"]


async def test_a_stream_with_terms_is_kept_whole():
    origin = Origin()
    headers = {"cache-control": "max-age=60"}
    origin.answer = lambda request: StreamingResponse(iter([b"a", b"b", b""]), headers=headers)
    async with client(origin) as web:
        assert [(await web.get("/a")).content for _ in range(2)] == [b"ab", b"ab"] and origin.asked == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_a_response_that_is_not_finished_is_passed_on_unless_there_may_be_a_better_one(fails):
    sent, asked = [], []
    headers = [(b"cache-control", b"max-age=60")]

    async def app(scope, receive, send):
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if fails:
            raise OSError("the rest is lost")

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    cached = ResponseCache(app, registry=Registry())
    for _ in range(2):
        with pytest.raises(OSError, match="the rest") if fails else nullcontext():
            await asyncio.wait_for(cached(scope, None, send), 30)
    assert asked == ["/", "/"]
    # of one that failed nothing was told yet: the server can still say so
    assert sent == ([] if fails else 2 * ["http.response.start", "http.response.body"])


async def test_messages_of_other_kinds_are_passed_on():
    kinds = ["http.response.pathsend", "http.response.debug"]

    async def app(scope, receive, send):
        for kind in kinds:
            await send({"type": kind})

    sent = []

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await ResponseCache(app, registry=Registry())(scope, None, send)
    assert sent == kinds


async def test_what_is_no_request_is_neither_counted_nor_kept():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    registry = Registry()
    for layer in (RequestMetrics(app, registry=registry), ResponseCache(app, registry=Registry())):
        await layer({"type": "lifespan"}, None, None)
    assert seen == ["lifespan", "lifespan"]
    assert not any(family.samples for family in registry.snapshot().families.values())


# --- properties ---------------------------------------------------------------------------------------------

bodies = st.text(max_size=20)
said = st.sampled_from(
    ["max-age=60", "public, max-age=60", "no-store", "private", "max-age=0", "s-maxage=9", None]
)
varied = st.sampled_from([None, "x-user", "accept-language, X-User", "*"])
requests = st.tuples(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from(["/a", "/b", "/a?x"]),
    st.dictionaries(st.sampled_from(["x-user", "accept-language", "authorization"]), st.sampled_from("12")),
)


@settings(max_examples=effort(40), deadline=None)
@given(
    status=st.sampled_from([200, 203, 301, 404, 500]),
    said=said,
    vary=varied,
    body=bodies,
    history=st.lists(requests, min_size=2, max_size=8),
)
def test_a_response_through_the_cache_is_the_one_without_it(status, said, vary, body, history):
    """The application says only what its Vary, and whether it is public, allow it to."""

    def answer(request):
        told = body + str(request.url)
        for name in ("x-user", "accept-language"):
            if vary is not None and (name in vary.lower() or vary == "*"):
                told += request.headers.get(name, "none")
        if not (said and ("public" in said or "s-maxage" in said)):
            told += request.headers.get("authorization", "none")
        headers = {"cache-control": said, "vary": vary}
        return PlainTextResponse(told, status, {name: value for name, value in headers.items() if value})

    async def compare():
        origin = Origin()
        origin.answer = answer
        plain = Starlette(routes=[Route("/{path:path}", origin.endpoint, methods=METHODS)])
        bare = httpx.AsyncClient(transport=httpx.ASGITransport(plain), base_url="http://test")
        async with client(origin) as web, bare:
            for method, url, headers in history:
                one = await web.request(method, url, headers=headers)
                two = await bare.request(method, url, headers=headers)
                assert (one.status_code, one.content) == (two.status_code, two.content)
                own = {name: one.headers[name] for name in one.headers.keys() - {"etag", "age"}}
                assert own == dict(two.headers)

    asyncio.run(compare())


# --- FastAPI, tiers, metrics --------------------------------------------------------------------------------


async def test_fastapi_with_a_disk_that_outlives_the_process(tmp_path):
    asked = []

    def build(manager):
        app = FastAPI()
        app.add_middleware(ResponseCache, manager=manager, ttl=60, registry=Registry())

        @app.get("/users/{number}")
        async def user(number: int):
            asked.append(number)
            return {"number": number}

        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    for _ in range(2):
        with CacheManager(disk={"directory": tmp_path}) as manager:
            async with build(manager) as web:
                assert (await web.get("/users/1")).json() == {"number": 1}
                assert (await web.get("/users/x")).status_code == 422
    assert asked == [1]


async def test_requests_are_counted_by_their_route_and_scraped():
    registry = Registry()

    async def user(request):
        return JSONResponse({}, headers={"cache-control": "max-age=60"})

    app = Starlette(
        routes=[Route("/users/{number}", user), Mount("/metrics", metrics_endpoint(registry.snapshot))],
        middleware=[
            Middleware(RequestMetrics, registry=registry),
            Middleware(ResponseCache, registry=registry),
        ],
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web:
        for path in ("/users/1", "/users/1", "/users/2", "/nowhere"):
            await web.get(path)
        scrape = await web.get("/metrics/")
        modern = await web.get("/metrics/", headers={"accept": "application/openmetrics-text"})
        refused = await web.post("/metrics/")
    lines = scrape.text.splitlines()
    assert 'http_server_requests_total{method="GET",route="/users/{number}",status="2xx"} 3' in lines
    assert 'http_server_requests_total{method="GET",route="unmatched",status="4xx"} 1' in lines
    assert 'http_server_duration_seconds_count{route="/users/{number}"} 3' in lines
    assert 'http_cache_total{result="hit"} 1' in lines
    assert modern.text.endswith("# EOF\n") and refused.status_code == 405
