"""Claim: pages are whole, well formed and small, and nothing that a name says acts in them."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError
from markupsafe import escape

from tests import families
from tests.report import records
from tests.report.test_tree import HOSTILE
from weightkin.formats import open_model
from weightkin.records import Calibration, Comparison, Direction, ModelRef
from weightkin.records.accounting import Challenge
from weightkin.records.family import FamilyEdge, FamilyNode
from weightkin.report.advice import RULE_WORDS
from weightkin.report.comparison import answer_facts, looked_at
from weightkin.report.facts import ModelFacts, facts_of
from weightkin.report.html import Exhibit, body, notebook_html, page
from weightkin.report.html.block_figures import extent_bars, parts_map
from weightkin.report.html.environment import (
    GRAPH_SCRIPTS,
    LONGEST_TEXT,
    environment,
    short,
    static_text,
)
from weightkin.report.plain import NOT_SHOWN, plain_words
from weightkin.report.terminal import TOO_FEW, printable
from weightkin.sketch import take_sketch, write_sketch

EVIL = [
    *HOSTILE,
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]>&lt;<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' style='position:fixed",
    "javascript:alert(1)",
    "a\0b",
    "x" * 100_000,
]
VOID = {"br", "hr", "input", "link", "meta"}
ACTIVE = re.compile(r"^on|^srcdoc$|^src$|^action$|^formaction$")


class Reader(HTMLParser):
    """Checks that tags are balanced, and keeps tags, text, and what is inside scripts."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text.append(data)


@pytest.mark.parametrize("make", records.ALL)
@pytest.mark.parametrize("name", EVIL, ids=range(len(EVIL)))
def test_a_name_is_text_wherever_it_stands(make, name):
    record, plain = make(name), make("plain")
    found, wanted = Reader(page(record)), Reader(page(plain))
    shapes = [[tag for tag, _ in x.tags if tag != "title"] for x in (found, wanted)]
    assert shapes[0] == shapes[1]  # a title says the whole of a name that is drawn cut
    assert not any(ACTIVE.match(key) for _, given in found.tags for key in given)
    links = [given["href"] for tag, given in found.tags if tag == "a"]
    assert all(link.startswith("#") for link in links)
    text = "".join(found.text)
    shown = printable(name)
    assert shown in text or shown[: LONGEST_TEXT // 2] in text
    assert printable(text.replace("\n", "")) == text.replace("\n", "")
    kept = json.loads(found.scripts[-1])
    assert type(record).from_json(json.dumps(kept)) == record


@pytest.mark.parametrize("make", records.ALL)
def test_pages_need_nothing_and_allow_nothing(make):
    text = page(make())
    found = Reader(text)
    policy = next(g["content"] for t, g in found.tags if g.get("http-equiv"))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not re.search(r"(src|href)=\"(?!#)", text)
    assert "url(" not in static_text("style.css")
    assert "@import" not in static_text("style.css")
    assert found.tags[0] == ("html", {"lang": "en"})
    assert sum(tag == "h1" for tag, _ in found.tags) == 1
    assert found.tags.count(("main", {"id": "main"})) == 1
    ids = [given["id"] for _, given in found.tags if "id" in given]
    assert len(ids) == len(set(ids))
    targets = {g["href"][1:] for t, g in found.tags if t == "a"}
    assert targets <= set(ids)


@pytest.mark.parametrize("make", records.ALL)
def test_the_sentence_the_limits_and_the_way_to_recompute_are_on_every_page(make):
    record = make()
    text = "".join(Reader(str(body(record, command="weightkin it"))).text)
    assert getattr(record, "search", record).sentence in text
    for words in ("What this does not show", "Recompute it", "weightkin it"):
        assert words in text


def test_only_pages_with_a_graph_carry_the_drawing_library():
    assert len(page(records.comparison())) < 100_000
    assert 'class="graph-data"' in page(families.small())
    assert len(page(families.small())) < 150_000


def test_every_verdict_is_put_in_plain_words():
    said = {}
    for verdict in ("dependent", "aligned-only", "no-evidence", "not-testable"):
        basis = "none" if verdict == "not-testable" else "exact"
        said[verdict] = str(body(records.comparison(verdict=verdict, basis=basis)))
    assert "1 in 10 to the power of 504" in said["dependent"]
    assert "arranged to match" in said["aligned-only"]
    assert "does not mean “independent”" in said["no-evidence"]
    assert "nothing was excluded" in said["not-testable"]
    calibrated = records.comparison(basis="calibrated", axes=(), log10_pvalue=0.0)
    assert "weaker than an exact verdict" in str(body(calibrated))
    identical = records.comparison(kind=("identical",), kind_details={"identical": "files"})
    assert "hold the same weights: same files" in str(body(identical))
    for text in (*said.values(), str(body(calibrated))):
        assert "stolen" not in text
        assert "similarity" not in text.replace("neither a share nor a similarity", "")


def test_the_finding_comes_first_as_on_a_terminal():
    for more in ({}, {"verdict": "no-evidence"}, {"verdict": "aligned-only"}):
        record = records.comparison(**more)
        heading, below = re.search(r"<h1>(.*?)</h1>(.*)", page(record), re.DOTALL).groups()
        assert f"{heading} {NOT_SHOWN.get(record.verdict, '')}".strip() == plain_words(record)
        first = below.split("<section")[0]
        words = [x.strip() for x in Reader(first.replace("</header>", "")).text if x.strip()]
        for label, text in (*answer_facts(record), ("looked at", looked_at(record))):
            assert label.capitalize() in words
            assert text in "".join(Reader(first.replace("</header>", "")).text)
        assert first.count('class="card"') == 2
        assert first.count("<figure") == 1
        assert "weightkin verify record.json" in first


def test_cards_say_what_the_models_are_or_that_it_is_not_known():
    facts = ModelFacts(architecture="<b>Net", n_parameters=1234567, dtypes={"BF16": 99, "F32": 1},
                       stacks={"decoder": 2}, declared_parents=("org/base",))  # fmt: skip
    text = page(records.comparison(), facts=(facts, None))
    for words in ("&lt;b&gt;Net", "1,234,567", "BF16 (99 %), F32 (1 %)", "decoder 2", "org/base"):
        assert words in text
    assert text.count("the model is not at hand") == 1


def test_the_fields_of_an_exhibit_stand_on_the_report_and_in_no_record():
    record = records.comparison()
    given = Exhibit(title='A"}</style><b>', reference="2:26-cv", author="J. Doe", date="2026-01-02")
    text = page(record, exhibit=given)
    Reader(text)
    head = re.search(r"@top-left \{ content: \"([^\n]*)\"; \}", text)[1]
    assert re.fullmatch(r"(?:[A-Za-z0-9 ·]|\\[0-9a-f]{6})*", head)
    plain = re.sub(r"\\([0-9a-f]{6})", lambda x: chr(int(x[1], 16)), head)
    assert plain == 'A"}</style><b> · 2:26-cv · J. Doe · 2026-01-02'
    for words in ("A&#34;}&lt;/style&gt;&lt;b&gt;", "2:26-cv", "J. Doe", "2026-01-02"):
        assert words in text.split("<main")[1].split("<h1>")[0]
    assert "J. Doe" not in text.split('id="record">')[1]


def test_few_units_are_called_too_few_and_not_a_p_value_of_one():
    effect = replace(records.EFFECT, observed=0.96)
    test = replace(records.comparison().tests[0], axis="heads", n_units=2, log10_pvalue=0.0,
                   statistic=2.0, effect=effect)  # fmt: skip
    axis = replace(records.comparison().axes[0], axis="heads", log10_pvalue=0.0, passes=False,
                   effect=effect)  # fmt: skip
    text = str(body(records.comparison(axes=(axis,), tests=(test,))))
    assert text.count(f">{TOO_FEW}<") == 2  # of the axis, and of its test
    assert ">few</text>" in text
    assert ">shown<" not in text


def test_blocks_stand_in_order_and_many_are_grouped():
    test = records.comparison().tests[0]
    many = tuple(replace(test, block_a=f"decoder.{i}", block_b=f"decoder.{i}") for i in range(200))
    whole = replace(test, axis="residual", block_a="decoder", block_b="decoder")
    few = parts_map(records.comparison(tests=(*many[10:12], *many[:2], whole)))
    assert [x[4] for x in few["texts"] if x[1] == 14] == ["0", "1", "10", "11"]
    assert [x[4] for x in few["texts"] if x[2].startswith("on-")] == ["0.97"] * 5
    grouped = parts_map(records.comparison(tests=many))
    assert len(grouped["boxes"]) == 67
    assert "3 blocks" in grouped["caption"]
    assert extent_bars(records.comparison(tests=(whole,))) is None


def test_a_pair_without_evidence_has_no_kind_and_no_direction():
    none = str(body(records.comparison(verdict="no-evidence", kind=(), kind_details={},
                                       direction=Direction())))  # fmt: skip
    assert "not named" not in none
    assert "undetermined" not in none
    assert "not named" in str(body(records.comparison(kind=(), kind_details={})))


def test_the_tiles_of_a_check_are_plain_words():
    shown = str(body(replace(records.check(), policy="")))
    assert "<dd>not all could be checked</dd>" in shown
    assert "none given; every rule at its default level" in shown


def test_a_check_counts_findings_as_its_sentence_does_and_shows_commands_as_code():
    shown = str(body(records.check()))
    assert records.check().sentence.count("1 finding, 1 item could not be verified") == 1
    for label, n in (("Findings", 1), ("Not verified", 1), ("Warnings", 0)):
        assert f"<dt>{label}</dt><dd>{n}</dd>" in shown
    assert "`" not in re.sub(r"<[^>]*>", "", shown)


def test_each_rule_of_a_check_stands_beside_what_breaks_it():
    known = dict.fromkeys(RULE_WORDS, "error")
    shown = str(body(replace(records.check(), rules=known | {"of-a-later-version": "error"})))
    for rule, (words, _) in RULE_WORDS.items():
        assert f"<td>{rule}</td>" in shown
        assert escape(words) in shown
        assert "shares no weights" not in words  # nothing found is no finding of its absence


def test_only_what_verify_recomputes_is_said_to_be_recomputed():
    named = records.check()
    first = str(body(named)).split("<section")[0]
    assert "weightkin verify record.json" in first
    bare = replace(named, models=tuple(replace(x, against=()) for x in named.models))
    for record in (bare, records.search(), records.trace()):
        first = str(body(record)).split("<section")[0]
        assert "is not recomputed by" in first
        assert "verify record.json" not in str(body(record))


def test_a_drawn_sample_can_be_drawn_anew_and_a_whole_axis_cannot():
    drawn = Challenge(drawn="own", hex="ab" * 16)
    assert "--fresh" in str(body(records.comparison(challenge=drawn)))
    assert "--fresh" not in str(body(records.comparison(challenge=None)))


def test_a_page_names_the_random_start_and_what_the_difference_may_be():
    shown = str(body(records.comparison(kind=("fine-tuned",))))
    assert "a random start in common" in shown
    assert "<dd>fine-tuned, or mixed with other models</dd>" in shown
    assert "made from the other" not in shown.split("How the two differ")[1].split("<h3")[0]
    assert "a random start in common" not in str(body(records.comparison(basis="equal")))
    part = records.comparison(kind=("shared-part",), kind_details={"parts": ["x"]})
    assert "neither was made" not in str(body(part))


def test_a_table_of_relatives_has_each_verdict_once():
    text = body(records.search())
    assert "1 related model, nearest first" in text
    row, *_ = [x for x in text.split("<tr>") if 'data-label="Relation"' in x]
    assert '<td data-label="Evidence">p &lt;= 1e-100</td>' in row
    assert row.count("dependent") == 2  # the class of the badge, and its word


def test_records_with_nothing_in_them_are_pages_too():
    empty = records.comparison(tests=(), axes=(), skipped=(), parts=(), layers=(), kind=(),
                               kind_details={}, verdict="not-testable", basis="none",
                               calibration=None)  # fmt: skip
    Reader(page(empty))
    Reader(page(families.graph([], [], [])))
    nothing = replace(records.search(), relatives=(), others=(), parents=(), path=())
    Reader(page(nothing))
    Reader(page(records.trace().__class__(search=nothing)))


def test_block_maps_show_numbers_and_large_ones_squares_that_grow():
    small, large = str(body(records.location(n=3))), str(body(records.location(n=40)))
    assert small.count(">−50.0</text>") == 3
    assert large.count('class="dot"') == 40
    assert large.count('class="ground"') == 1600
    assert 'class="dot"' in str(body(records.location(n=200)))


def test_all_edges_stand_in_the_table_with_other_candidates():
    text = "".join(Reader(str(body(families.small()))).text)
    for words in (
        "base-b, worse by 0.31",
        "undetermined (0.60)",
        "0.97",
        "p <= 1e-431",
        "merged, weight 0.60",
    ):
        assert words in text


def claims(text):
    """Each edge of a page: whether it says that the child was made from the parent, and its facts.

    The panel says so of a line with an arrow head on which the two are shown to be related.
    """
    drawn = json.loads(re.search(r'class="graph-data">(.*?)</script>', text)[1])
    return [
        (x["style"] != "undetermined" and x["proven"], dict(x["facts"])) for x in drawn["edges"]
    ]


def test_an_edge_is_not_called_made_from_above_a_p_value_that_shows_nothing():
    nodes = [FamilyNode(id=x, name=x) for x in ("a", "tuned", "cast", "shown", "open")]
    edges = [
        FamilyEdge(parent="a", child="tuned", kind="fine-tuned", direction="determined"),
        FamilyEdge(parent="a", child="cast", kind="cast", direction="determined"),
        FamilyEdge(parent="a", child="shown", direction="determined", log10_pvalue=-9.0),
        FamilyEdge(parent="a", child="open", direction="undetermined"),
    ]
    text = page(families.graph(nodes, edges))
    found = [(is_said, facts["Related"]) for is_said, facts in claims(text)]
    unshown = (False, "not shown to be related")
    assert found == [unshown, (True, "equal values"), (True, "p <= 1e-9"), unshown]
    assert "p = 1.00" not in text
    step = records.search().path[0]
    unproven = replace(records.search(), path=(replace(step, log10_pvalue=0.0),))
    assert "p = 1.00" not in page(records.trace().__class__(search=unproven))


def test_parents_have_their_probability_and_the_other_candidates():
    text = str(body(families.placed()))
    assert '<td class="num">0.93</td><td class="num">0.98</td>' in text
    assert "<td>old 0.04, a model that is not here 0.03</td>" in text
    assert '<td class="num">undetermined (0.41)</td>' in text
    assert "<td>tied with cast 0.40, or none of them 0.05, old 0.04" in text
    assert "From 0.8 on the parent is determined" in text
    assert "From 0.8 on" not in str(body(families.small()))  # another rule made that record


def test_lines_differ_by_more_than_colour():
    text = page(families.small())
    assert 'class="edge undetermined"' in text
    assert 'class="box unobserved"' in text
    assert ".edge.undetermined" in text or "svg .undetermined { stroke-dasharray" in text
    assert 'class="edge declared"' in page(records.trace())


def test_scripts_cannot_end_themselves():
    for name in GRAPH_SCRIPTS:
        assert "</script" not in static_text(name).lower()


def test_a_notebook_shows_a_frame_that_runs_nothing():
    shown = notebook_html(records.comparison())
    found = Reader(shown)
    ((tag, given),) = found.tags
    assert (tag, "sandbox" in given) == ("iframe", True)
    inside = Reader(given["srcdoc"])
    assert not any(tag == "script" for tag, _ in inside.tags if _.get("type") is None)
    assert notebook_html(families.small()) in families.small()._repr_html_()


@pytest.mark.parametrize("is_served", [False, True])
def test_whatever_a_template_prints_is_inert_text(is_served):
    template = environment(is_served=is_served).from_string('<p class="{{ x }}">{{ x }}</p>')
    assert template.render(x='<b>"\x1b\u202e') == (
        '<p class="&lt;b&gt;&#34;\\x1b\\u202e">&lt;b&gt;&#34;\\x1b\\u202e</p>'
    )
    assert template.render(x=None) == '<p class=""></p>'
    assert "x… (500 characters)<" in template.render(x="x" * 500)
    assert short("abcdefghijkl", 9) == "abcde…jkl"
    with pytest.raises(UndefinedError):
        template.render()


def luminance(colour):
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("block", range(4), ids=["light", "dark", "chosen dark", "print"])
def test_colours_reach_the_contrast_of_wcag_aa(block):
    themes = re.findall(r"\{([^{}]*--page:[^{}]*)\}", static_text("style.css"))
    assert len(themes) == 4
    colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", themes[block]))
    pairs = [(text, ground) for text in ("text", "muted", "accent") for ground in ("page", "sunk")]
    pairs += [(f"on-heat-{i}", f"heat-{i}") for i in range(5)] + [("text", "box")]
    for text, ground in pairs:
        assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    for line in ("edge", "box-line", "mark"):
        assert contrast(colour[line], colour["page"]) >= 3, line


def test_calibrated_figures_are_on_the_page():
    assert isinstance(records.comparison().calibration, Calibration)
    assert "20 pairs of class" in str(body(records.comparison()))
    assert Comparison.from_json(records.comparison().to_json()) == records.comparison()


def test_a_check_that_fresh_bytes_drew_says_so_on_its_page_and_in_a_notebook():
    drawn = replace(records.check(), challenge="c0ffee" * 10)
    assert "fresh bytes" in page(drawn)
    assert "c0ffee" in page(drawn)
    assert "c0ffee" in drawn._repr_html_()


def test_a_page_claims_no_more_than_an_unconfirmed_verdict():
    unconfirmed = replace(records.comparison(), basis="exact-unconfirmed")
    words = "share weights or a random start, or one of them was made to match the other."
    assert words in page(unconfirmed)
    assert words not in page(records.comparison())


def test_the_card_of_a_sketch_states_the_size_of_its_model(zoo, tmp_path):
    sketch = take_sketch(open_model(zoo / "models" / "llama-a"))
    path = tmp_path / "llama-a.sketch.safetensors"
    write_sketch(sketch, path)
    facts = facts_of(ModelRef(source=str(path), digest=sketch.digest))
    assert facts.n_parameters == sketch.n_parameters > sum(facts.dtypes.values())


def test_units_that_match_by_a_test_and_are_too_little_alike_are_called_aligned_only():
    shown = records.comparison().axes[0]
    aligned = replace(shown, axis="vo", log10_pvalue=-66.8, passes=False)
    nothing = replace(shown, axis="heads", log10_pvalue=0.0, passes=False, effect=None)
    table = str(body(records.comparison(axes=(shown, aligned, nothing))))
    cells = re.findall(r'data-label="Shared">(.*?)</td>', table)
    assert cells == ["shown", "aligned only", "not shown"]
    assert "“Aligned only”: the order of the units agrees" in table
