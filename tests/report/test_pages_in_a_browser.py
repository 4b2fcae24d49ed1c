"""Claim: pages of real records open without errors, requests or sideways scrolling."""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

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
FAMILY = "document.querySelector('.graph').family"
LONG = "a-model-with-a-name-that-no-telephone-shows-on-one-line-instruct-v3"
DRAWN_ANEW = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
INSIDE = f"""() => {{
  const f = {FAMILY}, wide = document.querySelector('.stage').clientWidth;
  return [f.items().length, f.items().filter(item => {{
    const left = item.x * f.view.k + f.view.x;
    return left < 0 || left + f.box() * f.view.k > wide || item.y * f.view.k + f.view.y < 13;
  }}).length];
}}"""


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
    records["large"] = families.branching(400)
    records["long"] = families.named(LONG)
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


def test_differences_by_block_are_read_on_a_phone_without_scrolling_sideways(visit):
    tab = visit("compare", PHONE, color_scheme="dark")
    rows = tab.get_by_role("region", name="Each row is a block of model a").locator("tbody tr")
    assert rows.count() > 4  # blocks of the model, and what stands outside them
    assert rows.first.inner_text().split("\n")[0] == "vision.0"
    for cell in rows.first.locator("td").all():
        box = cell.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    assert rows.first.locator("td").last.inner_text()


@pytest.mark.claim("reports for a screen reader")
@pytest.mark.parametrize("name", ["compare", "locate", "tree", "drawn"])
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
    assert tab.evaluate(f"{FAMILY}.items().length") == 3  # one family at a time
    assert not tab.locator(".static").is_visible()
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


CROSSED = f"""() => {{
  const f = {FAMILY}, box = f.data.box, found = [];
  f.routes().forEach(({{ points }}) => points.slice(1).forEach((end, i) => {{
    const [x0, y0] = points[i], [x1, y1] = end;
    f.items().forEach(item => {{
      if (Math.max(x0, x1) > item.x + 1 && Math.min(x0, x1) < item.x + box - 1
          && Math.max(y0, y1) > item.y - 13 && Math.min(y0, y1) < item.y + 13)
        found.push([points, item.x, item.y]);
    }});
  }}));
  return [f.routes().length, found.length];
}}"""


def test_a_large_family_opens_folded_and_unfolds_without_a_line_through_a_box(visit):
    tab = visit("large")
    tab.wait_for_selector(".graph[data-ready]")
    n_models = tab.evaluate(f"{FAMILY}.tree.families[0].n")
    assert n_models > 300
    assert tab.evaluate(f"{FAMILY}.items().length") < 120  # folded, with what is left out
    tab.get_by_role("button", name="Unfold all").click()
    assert tab.evaluate(f"{FAMILY}.items().length") == n_models
    n_merges, n_crossed = tab.evaluate(CROSSED)
    assert n_merges > 3
    assert n_crossed == 0
    tab.get_by_role("button", name="Fold", exact=True).click()
    assert tab.evaluate(f"{FAMILY}.items().length") < 120
    assert tab.evaluate(CROSSED)[1] == 0


def test_a_search_unfolds_the_way_to_a_model_and_puts_it_into_the_middle(visit):
    tab = visit("large")
    tab.wait_for_selector(".graph[data-ready]")
    hidden = tab.evaluate(f"{FAMILY}.data.nodes.findIndex((_, i) => {FAMILY}.tree.home[i] == 0"
                          f" && {FAMILY}.tree.spot[i] < 0)")  # fmt: skip
    name = tab.evaluate(f"{FAMILY}.data.nodes[{hidden}].name")
    tab.locator(".find").fill(name)
    tab.locator(".find").press("Enter")
    assert tab.locator(".panel h3").inner_text() == name
    y = tab.evaluate(f"(() => {{ const f = {FAMILY}, i = f.items()[f.tree.spot[{hidden}]];"
                     " return i.y * f.view.k + f.view.y; })()")  # fmt: skip
    assert abs(y - tab.locator(".stage").bounding_box()["height"] / 2) < 2


def test_the_keyboard_alone_walks_folds_and_reads_the_drawing(visit):
    tab = visit("drawn")
    tab.wait_for_selector(".graph[data-ready]")
    tab.locator(".stage").focus()
    said = tab.locator(".count")
    for key, words in (
        ("ArrowDown", "(unobserved ancestor), 5 below"),
        ("ArrowRight", "base-a, fine-tuned from (unobserved ancestor), 3 below"),
        ("ArrowRight", "ft, fine-tuned from base-a, 2 below"),
        ("ArrowLeft", "ft, fine-tuned from base-a, 2 below, folded"),
        (" ", "ft, fine-tuned from base-a, 2 below"),
        ("ArrowDown", "ft-int4, quantised (4 bits) from ft"),
    ):
        tab.keyboard.press(key)
        assert said.inner_text() == words
    tab.keyboard.press("Enter")
    assert tab.locator(".panel h3").inner_text() == "ft-int4"
    tab.keyboard.press("Escape")
    assert not tab.locator(".panel").is_visible()


def test_what_is_shown_is_saved_as_svg_and_png(visit):
    tab = visit("drawn")
    tab.wait_for_selector(".graph[data-ready]")
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="SVG").click()
    drawn = [*ElementTree.parse(saved.value.path()).iter()]
    at = next(i for i, x in enumerate(drawn) if x.text == "quantised (4 bits)")
    ground = next(x for x in drawn if x.tag.endswith("rect")).get("fill")
    assert drawn[at - 1].get("fill") == ground  # no line passes through the words
    texts = [x.text for x in drawn if x.text]
    assert {"base-a +1", "ft", "ft-int4", "mix", "merged", "quantised (4 bits)"} <= set(texts)
    with tab.expect_download() as saved:
        tab.get_by_role("button", name="PNG").click()
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["drawn", "large", "long"])
def test_the_first_view_on_a_phone_cuts_no_box(visit, name):
    tab = visit(name, PHONE)
    tab.wait_for_selector(".graph[data-ready]")
    n, n_outside = tab.evaluate(INSIDE)
    assert n > 1
    assert n_outside == 0
    tab.set_viewport_size(DESK)
    tab.locator(".stage canvas").evaluate(DRAWN_ANEW)
    assert tab.evaluate(f"{FAMILY}.items().some(x => x.x >= {FAMILY}.box())")  # side by side


def test_a_name_that_is_too_long_for_a_phone_is_whole_in_its_panel(visit):
    tab = visit("long", PHONE)
    tab.wait_for_selector(".graph[data-ready]")
    y = tab.evaluate(f"{FAMILY}.items()[1].y + {FAMILY}.view.y")
    tab.locator(".stage").click(position={"x": 150, "y": y})
    assert tab.locator(".panel h3").inner_text() == LONG


def test_without_scripts_the_drawing_is_still_there(visit):
    tab = visit("tree", java_script_enabled=False)
    assert tab.locator(".static svg.family").is_visible()
    assert visit("drawn", java_script_enabled=False).locator(".outline li:visible").count() == 7
    assert not tab.locator(".graph").is_visible()
