"""The live page in a real browser: what it draws, for whom it can be used, and what it never does.

Pictures are left in ``build/live-page``.
"""

import random
import re
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from perfcore import Cache, PerformanceManager
from perfcore.metrics import Registry, Timer
from perfcore.monitor import MetricsServer, PerformanceAlerting, Sources, ThresholdRule

PICTURES = Path(__file__).parent.parent.parent / "build" / "live-page"
CHROMIUM = "/usr/bin/chromium"
CHARTS = ["Latency", "Hit ratio by cache", "Memory", "Tasks of the workers", "Alerts that fire"]
CHARTS += ["The arm that rules each cache"]

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser():
    if not Path(CHROMIUM).exists():
        pytest.fail("Chromium is missing: tools/debian-packages installs it (make browser)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page, and all that it has asked for, complained about or tried to open."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 1600}} | options)
        self.page = self.context.new_page()
        self.asked, self.said, self.origins = [], [], set()
        self.page.on("request", lambda request: self.asked.append(request))
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on(
            "dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}") or dialog.dismiss()
        )

    def go(self, server, fragment=""):
        self.origins.add(server.url)
        self.page.goto(server.url + fragment)
        return self.page


@pytest.fixture
def visit(browser):
    visits = []

    def make(**options):
        visits.append(Visit(browser, **options))
        return visits[-1]

    yield make
    for one in visits:
        foreign = [
            request.url for request in one.asked if not request.url.startswith((*one.origins, "data:"))
        ]
        one.context.close()
        assert foreign == []


class Load:
    """Somebody who uses a manager, as fast as is fair."""

    def __init__(self, manager, timer):
        self._manager, self._timer = manager, timer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        choice = random.Random(1)
        while not self._stop.wait(0.002):
            for _ in range(20):
                with self._timer:
                    self._manager.cache.get_or_set(int(choice.paretovariate(0.5)) % 5000, lambda: b"x" * 200)
            self._manager.workers.submit(time.sleep, 0.003)

    def stop(self):
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A manager at work, served."""
    settings = {
        "caching": {
            "max_memory": "200KB",
            "layers": {"disk": {"enabled": True, "directory": str(tmp_path_factory.mktemp("disk"))}},
        },
        "monitoring": {"enabled": True, "interval": 0.1, "enable_alerts": True},
        "workers": {"enabled": True},
    }
    registry = Registry()  # the default one may have latencies of other tests
    timer = Timer("orders.load", "Loading an order.", registry=registry)
    with PerformanceManager(settings) as manager:
        load = Load(manager, timer)
        server = manager.serve(port=0, interval=0.15, registry=registry)
        try:
            yield manager, server
        finally:
            load.stop()


def chart(page, name):
    return page.get_by_role("figure").filter(has=plot(page, name))


def state(page):
    return page.locator("#state-text")


def plot(page, name):
    return page.get_by_role("img", name=re.compile(f"^{name}"))


def test_it_draws_what_happens_and_goes_on_doing_so(visit, service):
    one = visit()
    page = one.go(service[1])
    expect(state(page)).to_contain_text("Live: all parts serve")
    for name in CHARTS:
        expect(chart(page, name).locator("svg polyline").first).to_be_attached()
    expect(chart(page, "Latency").get_by_text("orders.load p99: ")).to_be_visible()
    expect(chart(page, "Hit ratio by cache").locator("svg.line, .legend li")).to_have_count(2)
    expect(page.locator("#now")).to_contain_text("/s")
    expect(page.locator("#caches").get_by_role("row", name="disk")).to_contain_text("serves")
    expect(page.locator("#policies").get_by_role("row", name="memory")).to_contain_text("adaptive")
    expect(page.locator("#parts").get_by_role("row", name="workers")).to_contain_text("running")
    before = chart(page, "Memory").locator("polyline").first.get_attribute("points")
    expect(chart(page, "Memory").locator("polyline").first).not_to_have_attribute("points", before)
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "light.png", full_page=True)
    assert one.said == []
    assert {request.url.partition("?")[0] for request in one.asked} <= {
        service[1].url,
        f"{service[1].url}live.json",
        "data:,",
    }


def test_the_past_is_there_when_the_page_is_opened_and_then_only_news_are_fetched(visit, service):
    one = visit()
    page = one.go(service[1])
    expect(chart(page, "Memory").locator("polyline").first).to_be_attached()
    points = chart(page, "Memory").locator("polyline").first.get_attribute("points").split()
    assert len(points) >= 3
    with page.expect_response(lambda response: "since=" in response.url) as answer:
        pass
    assert len(answer.value.json()["history"]["numbers"]) < len(points) + 2


def colors(page, *selectors):
    return page.evaluate(
        "(all) => all.map((one) => getComputedStyle(document.querySelector(one)))"
        ".map((style) => [style.color, style.backgroundColor])",
        [*selectors],
    )


def luminance(color):
    channels = [int(part) / 255 for part in color[color.index("(") + 1 : -1].replace(",", " ").split()[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


#: every element with text of its own, in its colour, on the ground that is really below it
TEXTS = """() => [...document.querySelectorAll("body *")]
  .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
  .filter((one) => one.checkVisibility() && !["SCRIPT", "STYLE", "NOSCRIPT"].includes(one.tagName))
  .map((one) => {
    let below = one;
    while (getComputedStyle(below).backgroundColor === "rgba(0, 0, 0, 0)") below = below.parentElement;
    const style = getComputedStyle(one), svg = one instanceof SVGElement;
    const color = svg ? style.fill : style.color;
    return [one.textContent.trim().slice(0, 40), color, getComputedStyle(below).backgroundColor];
  })"""
LINES = (
    "() => [...document.querySelectorAll('svg polyline, .key')].map((one) => getComputedStyle(one).stroke)"
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_the_light_and_in_the_dark(visit, service, scheme):
    one = visit(color_scheme=scheme)
    page = one.go(service[1])
    expect(chart(page, "Memory").locator("polyline").first).to_be_attached()
    ((_, ground),) = colors(page, "body")
    assert (luminance(ground) > 0.5) is (scheme == "light")
    texts = page.evaluate(TEXTS)
    assert len(texts) > 60
    assert [text for text in texts if contrast(text[1], text[2]) < 4.5] == []
    ((_, card),) = colors(page, "figure")
    lines = page.evaluate(LINES)
    assert lines and min(contrast(line, card) for line in lines) >= 3
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{scheme}.png", full_page=True)


def test_lines_differ_in_more_than_their_colour(visit, service):
    page = visit().go(service[1])
    expect(chart(page, "Latency").locator(".legend li")).to_have_count(3)
    dashes = page.evaluate(
        "() => [...document.querySelectorAll('#latency .key')]"
        ".map((one) => getComputedStyle(one).strokeDasharray)"
    )
    assert len({*dashes}) == 3


FOCUSED = """() => {
  const one = document.activeElement;
  const name = one.id || one.textContent.trim().slice(0, 20);
  return [one.tagName.toLowerCase(), name, getComputedStyle(one).outlineStyle];
}"""


def test_everything_can_be_reached_and_used_by_keyboard(visit, service):
    page = visit().go(service[1])
    expect(chart(page, "Memory").locator("polyline").first).to_be_attached()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        tag, name, outline = page.evaluate(FOCUSED)
        if tag == "body":
            break
        reached.append((tag, name))
        assert outline != "none", f"{name} does not show that it has the focus"
    names = [name for _, name in reached]
    assert names[:3] == ["Skip to the charts", "range", "pause"]
    assert [name for tag, name in reached if tag == "svg"] == [
        "latency-plot",
        "hits-plot",
        "memory-plot",
        "workers-plot",
        "alerts-plot",
        "arms-plot",
    ]
    assert len([name for tag, name in reached if tag == "summary"]) == len(CHARTS)
    assert names[-3:] == ["metrics", "snapshot.json", "healthz"]


def test_a_chart_is_read_point_by_point_or_as_a_table(visit, service):
    page = visit().go(service[1])
    memory = chart(page, "Memory")
    expect(memory.locator("polyline").first).to_be_attached()
    memory.get_by_role("img").focus()
    page.keyboard.press("End")
    last = memory.locator("output").text_content()
    assert "process" in last and "MB" in last
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    first = memory.locator("output").text_content()
    assert first != last and memory.locator(".cursor").count() == 1
    time.sleep(0.5)  # some looks: what is read does not move below the reader
    assert memory.locator("output").text_content() == first
    page.keyboard.press("Escape")
    expect(memory.locator("output")).to_have_text("")
    memory.get_by_text("As a table").focus()
    page.keyboard.press("Enter")
    table = memory.get_by_role("table", name="Memory, latest first")
    expect(table.get_by_role("columnheader")).to_have_text(["Time", "process", "memory tier"])
    assert table.get_by_role("row").count() >= 3


def test_all_that_can_be_used_has_a_name_and_a_place(visit, service):
    page = visit().go(service[1])
    expect(chart(page, "Memory").locator("polyline").first).to_be_attached()
    for landmark in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    for name in CHARTS:
        expect(plot(page, name)).to_have_count(1)
    expect(page.get_by_role("combobox", name="Range")).to_be_visible()
    expect(page.get_by_role("button", name="Pause", pressed=False)).to_be_visible()
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    named = {
        "button",
        "combobox",
        "textbox",
        "link",
        "image",
        "img",
        "table",
        "region",
        "DisclosureTriangle",
        "heading",
    }
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    assert {role for role, _ in found} > {"button", "combobox", "link", "table"}
    assert [role for role, name in found if role in named and not name.strip()] == []
    levels = page.evaluate("() => [...document.querySelectorAll('h1, h2, h3')].map((one) => +one.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate("() => document.documentElement.lang") == "en" and page.title() == "perfcore"
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len({*ids})


COUNT_NEWS = """() => {
  window.told = 0;
  const live = document.querySelectorAll("[role=status], [aria-live], output");
  const all = { childList: true, characterData: true, subtree: true };
  for (const one of live) new MutationObserver(() => { window.told += 1; }).observe(one, all);
  return live.length;
}"""


def test_a_screen_reader_is_told_what_changes_and_nothing_else(visit, service):
    manager, server = service
    page = visit().go(server)
    expect(state(page)).to_contain_text("Live: all parts serve")
    assert page.evaluate(COUNT_NEWS) == 1 + len(CHARTS)
    time.sleep(0.6)
    assert page.evaluate("() => window.told") == 0
    manager.alerts.add_rule(
        ThresholdRule(name="too hot", metric="system.memory.used", threshold=1, severity="critical")
    )
    expect(page.get_by_role("status").first).to_have_text("Alert too hot fires")
    row = page.locator("#firing").get_by_role("row", name="too hot")
    expect(row).to_contain_text("critical")
    expect(page.locator("#now div", has_text="Alerts that fire").locator("dd")).to_have_text("1 ")
    expect(chart(page, "Alerts that fire").locator(".legend")).to_contain_text("firing: 1")
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "alert.png", full_page=True)
    manager.alerts.remove_rule("too hot")
    expect(page.get_by_role("status").first).to_have_text("Alert too hot has ended")


def test_who_wants_no_motion_gets_none(visit, service):
    for wish, moving in (("reduce", False), ("no-preference", True)):
        page = visit(reduced_motion=wish).go(service[1])
        times = page.evaluate(
            "() => [...document.querySelectorAll('*')].map((one) => getComputedStyle(one))"
            ".map((style) => style.transitionDuration + style.animationName)"
        )
        assert bool({*times} - {"0snone"}) is moving


def test_it_fits_on_a_phone(visit, service):
    page = visit(viewport={"width": 320, "height": 640}).go(service[1])
    expect(chart(page, "Memory").locator("polyline").first).to_be_attached()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 320


def test_it_can_be_held_still(visit, service):
    page = visit().go(service[1])
    line = chart(page, "Memory").locator("polyline").first
    expect(line).to_be_attached()
    page.get_by_role("button", name="Pause").press("Space")
    expect(page.get_by_role("button", name="Pause", pressed=True)).to_be_visible()
    time.sleep(0.3)
    before = line.get_attribute("points")
    time.sleep(0.6)
    assert line.get_attribute("points") == before
    page.get_by_role("button", name="Pause").press("Space")
    expect(line).not_to_have_attribute("points", before)


# --- what is missing, wrong or hostile ----------------------------------------------------------------------


class Scene:
    """A server whose figures a test decides."""

    def __init__(self, name="memory"):
        self.cache, self.lookups = Cache(100), True
        self.go = threading.Event()
        self.go.set()
        self.registry = Registry()
        self.alerts = PerformanceAlerting([ThresholdRule(name="r", metric="m", threshold=1)])
        self.sources = Sources(
            caches=self._caches, registry=lambda: self.registry, alerts=lambda: self.alerts
        )
        self.name = name

    def _caches(self):
        self.go.wait(30)
        if self.lookups:
            self.cache["a"] = 1
            for _ in range(9):
                self.cache.get("a")
            self.cache.get("b")
        return {self.name: self.cache}

    def serve(self, **options):
        return MetricsServer(self.sources, **{"port": 0, "interval": 0.1} | options)


def hits(page):
    return chart(page, "Hit ratio by cache")


def test_a_gap_is_a_gap_and_not_a_zero(visit):
    scene = Scene()
    with scene.serve() as server:
        page = visit().go(server)
        lines = hits(page).locator("polyline")
        expect(lines.first).to_be_attached()
        before = lines.count()
        scene.lookups = False  # nobody asks: there is no ratio
        expect(hits(page).locator(".legend")).to_have_text("memory: not measured")
        scene.lookups = True
        expect(lines.nth(before)).to_be_attached()  # another line, and not the last one going on
        for line in lines.all():
            heights = {point.split(",")[1] for point in line.get_attribute("points").split()}
            assert heights == {"25.6"}  # at 90 % all the time, and nowhere at the ground
        hits(page).get_by_text("As a table").click()
        expect(hits(page).get_by_role("cell", name="not measured").first).to_be_attached()


def test_a_time_without_looks_is_a_gap_in_everything_and_is_said(visit):
    scene = Scene()
    with scene.serve() as server:
        page = visit().go(server)
        charts = [chart(page, name) for name in ("Hit ratio by cache", "Memory")]
        for each in charts:
            expect(each.locator("polyline.s0").first).to_be_attached()
        before = [each.locator("rect.gap").count() for each in charts]  # a busy machine may have some
        scene.go.clear()  # a part hangs
        expect(state(page)).to_contain_text("Live: 1 failing")
        expect(page.get_by_role("region", name="What is wrong")).to_contain_text("something hangs")
        expect(page.get_by_role("status").first).to_have_text("Live: 1 failing")
        scene.go.set()
        expect(state(page)).to_contain_text("Live: all parts serve")
        for each, gaps in zip(charts, before, strict=True):
            expect(each.locator("rect.gap").nth(gaps)).to_be_attached()
            expect(each.locator("polyline.s0").nth(1)).to_be_attached()


def test_a_change_of_policy_is_told_with_its_figures(visit):
    scene = Scene()
    with scene.serve() as server:
        page = visit().go(server)
        expect(chart(page, "The arm that rules").locator(".legend")).to_have_text("memory: lirs")
        scene.cache.policy = "lru"
        row = page.locator("#decisions").get_by_role("row", name="adaptive → lru")
        expect(row.get_by_role("cell", name="memory")).to_be_visible()
        expect(chart(page, "The arm that rules").locator(".legend")).to_have_text("memory: lru")
        expect(chart(page, "The arm that rules").locator("svg text", has_text="lirs")).to_be_attached()


def test_a_server_that_is_gone_is_said_and_found_again(visit):
    scene = Scene()
    one = visit()
    with scene.serve() as server:
        page = one.go(server)
        expect(hits(page).locator("polyline").first).to_be_attached()
    expect(state(page)).to_contain_text("No answer since")
    expect(hits(page).locator("polyline").first).to_be_attached()  # what was seen stays
    again = time.time()
    with scene.serve(port=server.port):
        expect(state(page)).to_contain_text("Live: all parts serve")
        expect(hits(page).locator("polyline").first).to_be_attached()
        assert page.evaluate("() => store.times[0]") >= again - 0.1  # another process: another past
    assert all("ERR_" in line or "Failed to load" in line for line in one.said)


def test_names_are_text_whatever_they_are(visit):
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>'\"&lt;"
    scene = Scene(name=evil)
    Timer("calls", labels=["path"], registry=scene.registry).labels(evil).observe(0.1)
    scene.alerts.replace_rules([ThresholdRule(name=evil, metric="m", threshold=1, message=evil)])
    scene.alerts.check_alerts({"m": 5})
    one = visit()
    with scene.serve() as server:
        page = one.go(server)
        expect(page.locator("#caches").get_by_role("rowheader", name=evil)).to_be_visible()
        expect(page.locator("#firing").get_by_role("rowheader", name=evil)).to_be_visible()
        expect(page.locator("#calls").get_by_role("rowheader", name=f"calls{{{evil}}}")).to_be_visible()
        expect(hits(page).locator(".legend")).to_contain_text(evil)
        assert page.locator("img").count() == 0 and page.locator("script").count() == 1
        assert one.said == []
        markup = "() => { try { document.body.innerHTML = '<b>x</b>' } catch (error) { return error.name } }"
        assert page.evaluate(markup) == "TypeError"  # there is no way from text to markup


def test_a_token_is_asked_for_kept_in_the_tab_and_never_part_of_an_address(visit):
    token = "s3cret-token-0123456789"
    one = visit()
    with Scene().serve(token=token) as server:
        page = one.go(server)
        expect(page.get_by_role("heading", name="This server asks for its token")).to_be_visible()
        expect(page.get_by_label("Token", exact=True)).to_be_focused()
        expect(page.locator("#content")).to_be_hidden()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("That is not the token").first).to_be_visible()
        page.keyboard.type(token)
        page.keyboard.press("Enter")
        expect(state(page)).to_contain_text("Live: all parts serve")
        page.reload()
        expect(state(page)).to_contain_text("Live: all parts serve")  # the tab has kept it

        other = visit()
        page = other.go(server, f"#token={token}")
        expect(state(page)).to_contain_text("Live: all parts serve")
        assert page.url == server.url
        asked = [*one.asked, *other.asked]
        assert not [request for request in asked if token in request.url.partition("#")[0]]
        assert not [request for request in asked if token in request.headers.get("referer", "")]
        assert page.context.cookies() == []
        fresh = other.context.new_page()
        fresh.goto(server.url)
        expect(fresh.get_by_label("Token", exact=True)).to_be_visible()  # another tab has not
