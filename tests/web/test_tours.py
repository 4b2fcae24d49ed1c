"""Claim: every page is walked by keyboard, printed, and read in the dark; so is the login."""

import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from playwright.sync_api import expect

from tests.families import graph
from tests.web import slow
from tests.web.conftest import copy_of, finished, serving
from weightkin import Registry, __version__
from weightkin.records.family import FamilyEdge, FamilyNode
from weightkin.registry import kept_graph
from weightkin.registry.known import known_of
from weightkin.registry.store import opened as opened_registry
from weightkin.web.app import make_app
from weightkin.web.serving import configured, open_desk

SIZES = ({"width": 1280, "height": 850}, {"width": 390, "height": 844})
WIDE = "document.documentElement.scrollWidth > innerWidth"
PAGES = ("/", "/models/4", "/family", "/compare", "/search", "/jobs", "/jobs/1", "/jobs/2")
# What a keyboard should reach: everything that is seen and can be used.
USABLE = """() => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]')].filter(x =>
    !x.disabled && x.checkVisibility({visibilityProperty: true}) && !x.closest('dialog:not([open])')
    && x.tabIndex >= 0).length"""
# What has the focus: its number, whether it is in view, and whether one sees that it has it.
FOCUSED = """() => {
    const x = document.activeElement;
    if (x === document.body) return null;
    window.walked = window.walked || [];
    if (window.walked.includes(x)) return null;
    window.walked.push(x);
    const box = x.getBoundingClientRect(), look = getComputedStyle(x);
    const isSeen = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0
        && box.left < innerWidth;
    const isMarked = look.outlineStyle !== 'none' || look.boxShadow !== 'none';
    return {seen: isSeen, marked: isMarked, html: x.outerHTML.slice(0, 120)};
}"""


@pytest.fixture(scope="module")
def toured(filled, tmp_path_factory):
    """A server that has a family graph, a comparison, and a job that was cancelled."""
    found = copy_of(filled, tmp_path_factory.mktemp("toured"))
    numbers = {m.name: m.id for m in Registry(found).list()}
    nodes = [FamilyNode(id=x, name=x, registered=(numbers[x],)) for x in ("llama-a", "llama-a-ft1")]
    edge = FamilyEdge(parent="llama-a", child="llama-a-ft1", direction="determined", support=1.0)
    with opened_registry(found, to_write=True) as connection:
        kept_graph.keep(connection, known_of(graph(nodes, [edge], version=__version__)))
    with serving(found) as (address, _):
        job = httpx.post(f"{address}/api/compare", json={"a": 1, "b": 2}, timeout=60).json()
        assert finished(address, job["id"])["state"] == "done"
        job = httpx.post(f"{address}/api/family", timeout=60).json()
        httpx.post(f"{address}/api/jobs/{job['id']}/cancel", timeout=60)
        assert finished(address, job["id"])["state"] == "cancelled"
        yield address


@pytest.fixture
def tour(browser, toured):
    """Open pages; nothing is complained about, and nothing leaves."""
    wrong = []

    @contextmanager
    def opened(path, **options):
        context = browser.new_context(**options)
        tab = context.new_page()
        tab.on("console", lambda said: wrong.append(said.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda x: x.url.startswith((toured, "blob:")) or wrong.append(x.url))
        tab.goto(f"{toured}{path}")
        yield tab
        context.close()

    yield opened
    assert wrong == []


@pytest.mark.claim("keyboard tour")
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("size", SIZES, ids=["desk", "phone"])
def test_the_keyboard_reaches_all_that_can_be_used_and_shows_where_it_is(tour, path, size):
    with tour(path, viewport=size, color_scheme="dark") as tab:
        if path == "/family":
            tab.wait_for_selector(".graph[data-ready]")
        n, walked = tab.evaluate(USABLE), []
        for _ in range(n + 5):
            tab.keyboard.press("Tab")
            at = tab.evaluate(FOCUSED)
            if at is None:
                break
            walked.append(at)
        assert [x["html"] for x in walked if not x["seen"]] == []
        assert [x["html"] for x in walked if not x["marked"]] == []
        assert len(walked) == n


@pytest.mark.claim("pages of jobs for a screen reader")
@pytest.mark.parametrize(
    "path", ["/jobs", "/jobs/1", "/jobs/2", "/family", "/compare", "/search", "/models/2"]
)
def test_axe_finds_nothing_in_light_dark_and_on_a_phone(tour, axe, path):
    with tour(path, bypass_csp=True) as tab:
        expect(tab.get_by_role("heading", level=1)).to_be_visible()
        if path == "/jobs":
            assert tab.locator("table tbody tr").count() == 2
        for size in SIZES:
            tab.set_viewport_size(size)
            for scheme in ("light", "dark"):
                tab.emulate_media(color_scheme=scheme)
                assert not tab.evaluate(WIDE)
                assert axe(tab) == []


@pytest.mark.claim("print tour")
@pytest.mark.parametrize("path", PAGES)
def test_on_paper_is_what_is_read_and_nothing_to_press(tour, path):
    with tour(path, viewport=SIZES[0], color_scheme="dark") as tab:
        if path == "/family":
            tab.wait_for_selector(".graph[data-ready]")
        tab.emulate_media(media="print")
        assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert tab.locator(".screen:visible, .graph:visible").count() == 0
        assert tab.locator("main button:visible, main select:visible").count() == 0
        assert tab.get_by_text("why", exact=True).locator("visible=true").count() == 0
        expect(tab.get_by_role("heading", level=1)).to_be_visible()
        assert not tab.evaluate(WIDE)


def test_a_command_in_a_cell_of_a_phone_stays_in_the_sentence_around_it(tour):
    with tour("/about", viewport=SIZES[1]) as tab:
        beyond = """[...document.querySelectorAll('td[data-label] code')].filter(x =>
            x.getBoundingClientRect().right > x.closest('td').getBoundingClientRect().right)"""
        assert tab.locator("td[data-label] code").count() > 0
        assert tab.evaluate(f"{beyond}.length") == 0
        cells = tab.locator("td[data-label]").evaluate_all("all => all.map(x => x.children.length)")
        assert max(cells) == 1


@contextmanager
def guarded(registry, token):
    """The address of a server that asks for a token."""
    with (
        open_desk(registry, work=slow.for_ever) as service,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        server = uvicorn.Server(configured(make_app(service, token=token)))
        running = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        running.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        running.join()


@pytest.mark.claim("login by keyboard")
def test_one_logs_in_and_out_by_keyboard_alone(browser, filled, tmp_path):
    with guarded(copy_of(filled, tmp_path), "a-token") as address:
        context = browser.new_context(viewport=SIZES[1], color_scheme="dark")
        tab = context.new_page()
        tab.goto(f"{address}/jobs")
        field = tab.get_by_label("Token")
        expect(field).to_be_focused()
        tab.keyboard.type("wrong")
        tab.keyboard.press("Enter")
        expect(tab.get_by_text("This is not the token.")).to_be_visible()
        expect(field).to_be_focused()
        tab.keyboard.type("a-token")
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("heading", level=1)).to_have_text("Models")
        out = tab.get_by_role("button", name="Log out")
        for _ in range(12):
            tab.keyboard.press("Tab")
            if out.evaluate("x => x === document.activeElement"):
                break
        tab.keyboard.press("Enter")
        expect(tab.get_by_label("Token")).to_be_focused()
        context.close()
