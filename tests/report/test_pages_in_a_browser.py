"""Claim: pages of real records open without errors, requests or sideways scrolling."""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from tests import families
from tests.report.test_html import claims
from weightkin import compare, family_graph, locate
from weightkin.report.facts import facts_of
from weightkin.report.html import page
from weightkin.report.nodes import NO_PROOF

MODELS = Path(__file__).parents[2] / "zoo" / "models"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of each verb on models of the zoo."""
    folder = tmp_path_factory.mktemp("pages")
    models = [f"{MODELS}/{x}" for x in ("vit-a", "vit-a-ft1", "vit-a-long", "vit-b")]
    records = {
        "compare": compare(*models[:2]),
        "locate": locate(*models[:2]),
        "tree": family_graph(models, cache=folder / "sketches"),
    }
    records["drawn"] = families.small()
    for name, record in records.items():
        ends = (record.a, record.b) if name in ("compare", "locate") else ()
        text = page(record, facts=tuple(map(facts_of, ends)) or (None, None))
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in records}


@pytest.fixture
def visit(browser, pages):
    """Open a page; every error of its console and every request that leaves is kept."""
    opened, wrong = [], []

    def go(name, size=DESK, **more):
        context = browser.new_context(viewport=size, **more)
        opened.append(context)
        tab = context.new_page()
        tab.on("console", lambda said: wrong.append(said.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda sent: wrong.append(sent.url)
               if not sent.url.startswith(("file:", "blob:")) else None)  # fmt: skip
        tab.goto(pages[name])
        return tab

    yield go
    for context in opened:
        context.close()
    assert not wrong


@pytest.mark.parametrize("name", ["compare", "locate", "tree"])
def test_pages_fit_a_phone_and_a_desk_in_light_and_dark(visit, name):
    grounds = set()
    for size, scheme in ((DESK, "light"), (PHONE, "dark")):
        tab = visit(name, size, color_scheme=scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
        grounds.add(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(255, 255, 255)", "rgb(20, 23, 27)"}


@pytest.mark.claim("reports for a screen reader")
@pytest.mark.parametrize("name", ["compare", "locate", "tree"])
def test_a_screen_reader_finds_its_way(visit, axe, name):
    for size, scheme in ((PHONE, "dark"), (DESK, "light")):
        assert axe(visit(name, size, color_scheme=scheme, bypass_csp=True)) == []


def test_cards_finding_and_picture_are_on_the_first_screen_and_all_on_few_pages(visit):
    tab = visit("compare")
    for what in ("h1", ".card >> nth=0", ".card >> nth=1", "header figure svg"):
        box = tab.locator(what).first.bounding_box()
        assert box["y"] + box["height"] <= DESK["height"], what
    assert "ViTForImageClassification" in tab.locator(".card").first.inner_text()
    pages = re.findall(rb"/Type\s*/Page\b", tab.pdf(prefer_css_page_size=True))
    assert len(pages) <= 4


def test_the_button_changes_the_theme_and_the_skip_link_comes_first(visit):
    tab = visit("compare", color_scheme="light")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.locator(".theme").click()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    with tab.expect_download() as saved:
        tab.locator(".save").first.click()
    assert '"schema": "weightkin/comparison/2"' in saved.value.path().read_text()


def test_no_edge_of_a_real_tree_claims_more_than_its_evidence(pages):
    text = Path(unquote(urlparse(pages["tree"]).path)).read_text(encoding="utf-8")
    assert len(claims(text)) == 2
    for is_said, facts in claims(text):
        assert is_said <= (facts["Related"] not in NO_PROOF)
        assert "p = 1.00" not in facts.values()


def test_the_family_graph_is_drawn_read_and_filtered(visit):
    tab = visit("tree")
    tab.wait_for_selector(".graph[data-ready]")
    assert tab.evaluate("document.querySelector('.graph').cy.nodes().length") == 4
    assert not tab.locator(".static svg.family").first.is_visible()
    tab.locator("a[data-node]").first.press("Enter")
    child = tab.locator("a[data-node]").first.inner_text()
    panel = tab.locator(".panel")
    assert panel.locator("h3").inner_text() == child
    assert "Other candidates" in panel.inner_text()
    panel.locator(".close").press("Enter")
    assert not panel.is_visible()
    tab.locator("select.kind").select_option("continued-pretraining")
    assert tab.locator(".count").inner_text() == "1 of 2 edges"
    tab.locator(".find").fill("vit-b")
    tab.locator(".find").press("Enter")
    assert panel.locator("h3").inner_text() == "vit-b"


def test_the_panel_claims_no_more_than_the_line_and_equal_models_are_found(visit):
    tab = visit("drawn")
    tab.wait_for_selector(".graph[data-ready]")
    find, panel = tab.locator(".find"), tab.locator(".panel")
    find.fill("loose")
    find.press("Enter")
    assert "Related to" in panel.inner_text()
    assert "Made from" not in panel.inner_text()
    find.fill("base-a-copy")
    assert tab.locator(".count").inner_text() == "1 model"
    find.press("Enter")
    assert panel.locator("h3").inner_text() == "base-a"


def test_without_scripts_the_drawing_is_still_there(visit):
    tab = visit("tree", java_script_enabled=False)
    assert tab.locator(".static svg.family").first.is_visible()
    assert not tab.locator(".graph").is_visible()
