"""Claim: a person finds a model, reads the family, and compares two, in a real browser."""

import re
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

SECONDS = 1000.0  # of the milliseconds a browser counts in


@pytest.fixture
def visit(browser, address):
    """Open pages; at the end, nothing was complained about and no request left this host."""
    problems = []

    @contextmanager
    def opened(path, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(60 * SECONDS)
        page = context.new_page()
        page.on("console", lambda m: problems.append(m.text) if m.type != "log" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: _is_ours(r.url, address) or problems.append(r.url))
        page.goto(f"{address}{path}")
        yield page
        context.close()

    yield opened
    assert problems == []


def _is_ours(url, address):
    return url.startswith((f"{address}/", "data:", "blob:"))


PATHS = (
    "/",
    "/models/2",
    "/models/2/descendants",
    "/compare",
    "/search",
    "/jobs",
    "/about",
    "/family",
)
OUTSIDE = """[...document.querySelectorAll('.scroll, .scroll td, .scroll code, .scroll time')]
    .filter(x => x.scrollWidth > x.clientWidth + 1 && getComputedStyle(x).display != 'inline'
        || x.getBoundingClientRect().right > innerWidth).map(x => x.outerHTML.slice(0, 200))"""


def is_wide(page):
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_model_is_found_and_its_relatives_are_looked_up(visit):
    with visit("/") as page:
        page.get_by_role("searchbox").fill("int4")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="llama-a-int4", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("llama-a-int4")
        expect(page.locator("dl.facts")).to_contain_text("wk1-")
        page.get_by_role("button", name="Find relatives").click()
        expect(page.locator(".summary")).to_contain_text("relatives", timeout=120 * SECONDS)
        expect(page.locator(".path")).to_contain_text("quantised")
        expect(page.locator(".badge.contradicted + a")).to_have_text("llama-b")
        expect(page.locator(".badge.undeclared + a")).to_have_text("llama-a")
        expect(page.locator("table .badge.dependent").first).to_be_visible()
        page.locator(".path summary").first.click()
        expect(page.locator(".path details li").first).to_be_visible()


def test_descendants_are_looked_up_from_the_page_of_a_model(visit):
    with visit("/models/1") as page:
        page.get_by_role("link", name="Descendants").click()
        page.get_by_role("button", name="Find descendants").click()
        row = page.get_by_role("row", name="llama-a-int4")
        expect(row).to_contain_text("llama-a -> llama-a-int4 (quantised)", timeout=120 * SECONDS)
        row.get_by_role("link").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("llama-a-int4")


def draw_all(page):
    """The graph of all models, however much of it an earlier question had computed."""
    button = page.get_by_role("button", name=re.compile("^Draw "))
    if button.count():
        button.click()
        expect(button).to_have_count(0)
    expect(page.locator(".job")).to_have_count(0, timeout=180 * SECONDS)
    page.wait_for_selector(".graph[data-ready]", timeout=60 * SECONDS)


def test_the_family_is_drawn_filtered_and_explained(visit):
    with visit("/family", color_scheme="dark") as page:
        draw_all(page)
        drawn = "document.querySelector('.graph').family"
        assert page.evaluate(f"{drawn}.items().length") == 6  # of twelve: one family at a time
        kinds = page.evaluate(f"{drawn}.data.edges.map(e => e.style)")
        assert "declared" in kinds
        assert {"inferred", "undetermined"} & set(kinds)
        page.locator(".toolbar .kind").select_option("quantised")
        expect(page.locator(".toolbar .count")).to_contain_text("1")
        expect(page.locator("#edges tbody tr")).to_have_count(1)  # one filter for both
        expect(page.locator("#edges select").first).not_to_be_visible()
        assert page.url.endswith("/family?family=1&kind=quantised&sure=")
        page.reload()
        expect(page.locator(".toolbar .count")).to_contain_text("1 of")
        page.locator(".toolbar .kind").select_option("")
        expect(page.locator("#edges tbody tr")).not_to_have_count(1)
        page.locator(".toolbar .sure").select_option("0.8")
        spot = page.evaluate(
            f"(() => {{ const f = {drawn}, v = f.view, item = f.items().find(i =>"
            " f.data.nodes[i.at].name === 'llama-a-int4');"
            " return [(item.x - 30) * v.k + v.x, item.y * v.k + v.y]; })()"
        )
        box = page.locator(".stage").bounding_box()
        page.mouse.click(box["x"] + spot[0], box["y"] + spot[1])
        expect(page.locator(".panel")).to_contain_text("llama-a-int4 can be made from")
        page.get_by_role("row", name="llama-a-int4 llama-a quantised").get_by_text("why").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("was probably made from")
        expect(page.locator("dl.facts")).to_contain_text("llama-a-int4 can be made from")
        page.get_by_role("link", name="llama-a-int4").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("llama-a-int4")
        page.goto(page.url.split("/models")[0] + "/family")
        page.locator(".choosing select").select_option(label="gpt-a, 2 models")
        expect(page.get_by_role("heading", level=1)).to_have_text("Family of gpt-a")
        expect(page.locator("#edges tbody tr")).to_have_count(1)
        page.locator(".find").fill("vit-a-ft1")
        page.locator(".find").press("Enter")  # of another family: the server knows which
        expect(page.get_by_role("heading", level=1)).to_have_text("Family of vit-a")
        expect(page.locator(".panel h3")).to_have_text("vit-a-ft1")
        with page.expect_download() as saved:
            page.get_by_role("link", name="GraphML").click()
        assert saved.value.path().read_text().count("<node ") == 2


@pytest.mark.claim("family page for a screen reader")
def test_a_screen_reader_finds_its_way_on_the_page_of_a_family(visit, axe):
    for width, scheme in ((1280, "light"), (390, "dark")):
        size = {"width": width, "height": 844}
        with visit("/family", viewport=size, color_scheme=scheme, bypass_csp=True) as page:
            draw_all(page)
            assert page.locator("#edges tbody tr").count() == 5
            assert axe(page) == []
            assert not is_wide(page)


def test_two_models_are_compared_while_one_watches(visit):
    with visit("/compare", viewport={"width": 390, "height": 844}) as page:
        assert not is_wide(page)
        page.get_by_label("Model a").fill("llama-a-ft2")
        page.get_by_label("Model b").fill("ft1")
        page.wait_for_selector("datalist option[value='#9 gpt-a-ft1']", state="attached")
        page.get_by_label("Model b").fill("no such model")
        page.keyboard.press("Enter")
        expect(page.get_by_text("No model has this name or number.")).to_be_visible()
        page.get_by_label("Model b").fill("#1 llama-a")
        page.get_by_role("button", name="Compare").click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_contain_text("These two models share weights", timeout=120 * SECONDS)
        expect(page.locator(".card")).to_have_count(2)
        expect(page.locator(".card").first).to_contain_text("Parameters")  # from the registry
        assert not is_wide(page)


def test_every_page_fits_a_phone_and_is_read_in_both_colours(visit):
    with visit("/", viewport={"width": 390, "height": 844}) as page:
        page.wait_for_load_state("networkidle")
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours)
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, ground[4:-1].split(","))) > 600) == (colours == "light")
        assert page.evaluate(OUTSIDE) == []
        page.set_viewport_size({"width": 1200, "height": 800})
        assert page.evaluate(OUTSIDE) == []
        page.set_viewport_size({"width": 390, "height": 844})
        for path in PATHS:
            page.goto(f"{page.url.split('/', 3)[0]}//{page.url.split('/')[2]}{path}")
            assert not is_wide(page), path
            expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_keyboard_alone_reaches_the_list(visit):
    with visit("/") as page:
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        names = []
        for _ in range(40):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert names[:6] == ["weightkin", "Models", "Family", "Compare", "Search", "Jobs"]
        assert "llama-a" in names


def test_pages_work_without_scripts(visit):
    with visit("/compare?a=llama-b&b=llama-c", java_script_enabled=False) as page:
        page.get_by_role("button", name="Compare").click()
        heading = page.get_by_role("heading", level=1)  # the page comes back by itself
        expect(heading).to_contain_text(
            "No sign of shared weights was found", timeout=120 * SECONDS
        )
