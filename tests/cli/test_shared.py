"""Claim: options mean the same in every command, answers fit the terminal, records are redrawn."""

import io
import re

import networkx
import numpy as np
import pytest
from typer.main import get_command

from tests import families, models
from tests.commands import command
from weightkin.cli.answers import Color, is_coloured
from weightkin.cli.main import app
from weightkin.records import Comparison
from weightkin.records.family import FamilyGraph

SHARED = ("json", "html", "format", "alpha", "seed", "workers", "cluster", "registry", "color",
          "output", "quiet", "verbose", "estimate", "recursive", "controls",
          "full-digest")  # fmt: skip


def _commands(group=None, before=""):
    for name, found in (group or get_command(app)).commands.items():
        if hasattr(found, "commands"):
            yield from _commands(found, f"{before}{name} ")
        else:
            yield f"{before}{name}", found


COMMANDS = dict(_commands())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two related models, one that is not, and a registry of the first two."""
    rng = np.random.default_rng(8)
    folder = tmp_path_factory.mktemp("it's here")
    arrays = models.base(rng)
    models.write(folder / "a", arrays)
    models.write(folder / "child", models.child(arrays, rng))
    models.write(folder / "other", models.base(rng))
    done = command("add", folder / "a", folder / "child", "--registry", folder / "r.sqlite")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_list_of_commands_has_whole_sentences():
    listed = command("--help").stdout.split("Commands:")[1].split("Exit codes")[0]
    assert "completion " in listed
    assert "..." not in listed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_knows_h_and_shares_its_options(name):
    short, long = (command(*name.split(), option) for option in ("-h", "--help"))
    assert short == long
    assert short.returncode == 0
    assert short.stdout.startswith("Usage: ")
    flags = {flag for p in COMMANDS[name].params for flag in p.opts}
    if name != "serve":  # it prints no result
        assert {"--output", "--quiet", "-q", "--verbose", "-v", "--color"} <= flags


def test_quiet_is_the_first_line_of_what_is_listed(home, tmp_path):
    for words in (("show", home / "a"), ("add", home / "a", "--registry", home / "r.sqlite")):
        quiet, normal = command(*words, "-q").stdout, command(*words).stdout
        timeless = [re.sub(r"[0-9.]+ s", "", x) for x in (quiet, normal.splitlines()[0] + "\n")]
        assert timeless[0] == timeless[1]
    done = command("sketch", home / "a", home / "child", "--out", tmp_path, "-q")
    assert done.stdout.count("\n") == 1


def test_a_shared_option_has_one_help_text():
    texts = {}
    for found in COMMANDS.values():
        for p in found.params:
            if p.param_type_name == "option":
                texts.setdefault(max(p.opts, key=len).removeprefix("--"), set()).add(p.help)
    assert {name: len(texts[name]) for name in SHARED} == dict.fromkeys(SHARED, 1)


def test_every_option_registry_reads_the_environment():
    options = [p for c in COMMANDS.values() for p in c.params if "--registry" in p.opts]
    assert len(options) >= 9
    assert {p.envvar for p in options} == {"WEIGHTKIN_REGISTRY"}


def test_the_registry_of_the_environment_is_the_default(home, monkeypatch):
    monkeypatch.setenv("WEIGHTKIN_REGISTRY", str(home / "r.sqlite"))
    assert command("list").stdout.count("\n") == 3
    assert command("tree").stdout.startswith("2 models: 1 family")
    assert command("tree", home / "a").stdout.startswith("1 model: ")  # what is named counts first
    assert command("tree", "--registry", home / "r.sqlite", home / "a").returncode == 4


def test_a_number_is_a_registered_model_unless_there_is_such_a_file(home, monkeypatch, tmp_path):
    store = ("--registry", home / "r.sqlite")
    for verb in ("search", "trace"):
        assert command(verb, "2", *store).stdout.startswith("child: 1 relative ")
        assert command(verb, "#2", "-q", *store) == command(verb, "2", "-q", *store)
        assert command(verb, "9", *store).returncode == 3
    monkeypatch.chdir(tmp_path)
    models.write(tmp_path / "2", models.base(np.random.default_rng(1)))
    assert command("search", "2", *store).stdout.startswith("2: no relatives found")


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "{home}/a", "{home}/child"),
        ("compare", "{home}/a", "{home}/child", "--json"),
        ("compare", "{home}/a", "{home}/child", "--format", "cyclonedx"),
        ("show", "{home}/a"),
        ("tree", "{home}/a", "{home}/child", "--format", "graphml"),
        ("list", "--registry", "{home}/r.sqlite", "--json"),
        ("controls", "list"),
        ("check", "{home}/child", "--deny", "{home}/a"),
    ],
)
def test_output_gets_what_standard_output_would_have_got(home, tmp_path, words):
    words = [word.format(home=home) for word in words]
    plain = command(*words)
    target = tmp_path / "result"
    done = command(*words, "--output", target)
    assert (done.returncode, done.stdout) == (plain.returncode, "")
    timeless = [re.sub(r'[0-9.]+ s\b|"seconds": .*|"(id|serialNumber)": .*|read .* in', "", x)
                for x in (target.read_text(), plain.stdout)]  # fmt: skip
    assert timeless[0] == timeless[1] != ""
    again = command(*words, "--output", target)
    assert (again.returncode, again.stdout) == (4, "")
    assert "already exists" in again.stderr


def test_output_goes_nowhere_near_a_model(home, tmp_path):
    for target in (home / "a" / "result", home / "other" / "result", tmp_path / "no" / "result"):
        done = command("compare", home / "a", home / "child", "--output", target)
        assert (done.returncode, done.stdout) == (4, "")
        assert not target.exists()


def test_an_error_leaves_no_output(home, tmp_path):
    done = command("compare", home / "a", tmp_path / "none", "--output", tmp_path / "result")
    assert done.returncode == 3
    assert not (tmp_path / "result").exists()


def test_quiet_is_the_answer_and_verbose_everything(home, tmp_path):
    pair = ("compare", home / "a", home / "child")
    quiet, normal, full = (command(*pair, *option) for option in (("-q",), (), ("-v",)))
    assert quiet.stdout == f"{normal.stdout.splitlines()[0]}\n"
    assert full.stdout.count("\n") > normal.stdout.count("\n") + 4
    assert "-v" not in full.stdout
    html = command(*pair, "-q", "--html", tmp_path / "x.html")
    assert (html.stdout, html.stderr) == (quiet.stdout, "")
    tree = command("tree", home / "a", home / "child", "-q")
    assert tree.stdout == "2 models: 1 family, 1 edge (1 with an undetermined parent)\n"
    assert command("add", "-v", home / "a", "--registry", tmp_path / "r").stderr.startswith(
        "weightkin: a 0/1"
    )
    assert command(*pair, "-q", "-v").returncode == 4


def test_colours_are_for_terminals_that_want_them(home, monkeypatch):
    pair = ("compare", home / "a", home / "child")
    plain, coloured = command(*pair).stdout, command(*pair, "--color", "always").stdout
    timeless = [re.sub("\x1b[^m]*m|[0-9.]+ s", "", x) for x in (plain, coloured)]
    assert timeless[0] == timeless[1]
    assert "\x1b" not in plain
    assert "\x1b[1;36mdependent (" in coloured
    for refusal in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {}):
        with monkeypatch.context() as patch:
            patch.setattr("weightkin.cli.answers.sys.stdout.isatty", lambda: True, raising=False)
            for name in ("NO_COLOR", "TERM"):
                patch.setenv(name, refusal.get(name, ""))
            assert is_coloured(Color.AUTO) is not bool(refusal)
            assert is_coloured(Color.ALWAYS)
            assert not is_coloured(Color.NEVER)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_answers_stay_within_the_terminal(home, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.chdir(home)
    for words in (("compare", "a", "child"), ("compare", "a", "other"), ("locate", "a", "child"),
                  ("tree", "a", "child", "other"), ("show", "a"), ("trace", "1"), ("search", "1"),
                  ("check", "child", "--deny", "a"), ("add", "a", "child", "-v"),
                  ("sketch", "a", "-v", "--out", f"sketches{width}")):  # fmt: skip
        store = ("--registry", "r.sqlite") if words[0] in ("trace", "search", "add") else ()
        lines = command(*words, *store).stdout.splitlines()
        long = [x for x in lines if len(x) > width and " " in x.strip() and " $ " not in x]
        assert long == []
    assert len(max(command("compare", "a", "child", "--json").stdout.splitlines(), key=len)) > 60


def test_the_command_to_run_next_can_be_copied(home):
    first = command("compare", home / "a", home / "child").stdout
    line = next(x for x in first.splitlines() if "$ weightkin" in x)
    quoted = str(home).replace("'", "'\"'\"'")
    assert line.strip() == f"$ weightkin compare '{quoted}/a' '{quoted}/child' --with RELATIVE"


def test_too_few_units_are_not_a_p_value_of_one(home):
    pair = ("compare", home / "a", home / "child")
    line = next(x for x in command(*pair, "-v").stdout.splitlines() if x.startswith("  heads"))
    assert "too few to test" in line
    shared = next(x for x in command(*pair).stdout.splitlines() if x.startswith("  shared"))
    assert "heads" not in shared


TIMES = re.compile(r'time="[0-9.]+"')
SAVED = [
    ("compare", "{home}/a", "{home}/child"),
    ("locate", "{home}/a", "{home}/child"),
    ("tree", "{home}/a", "{home}/child"),
    ("search", "2", "--registry", "{home}/r.sqlite"),
    ("trace", "2", "--registry", "{home}/r.sqlite"),
    ("list", "--registry", "{home}/r.sqlite"),
    ("show", "{home}/a"),
    ("show", "{home}/a", "--estimate"),
    ("check", "{home}/child", "--deny", "{home}/a"),
]


@pytest.mark.parametrize("words", SAVED, ids=lambda words: f"{words[0]}{len(words)}")
def test_a_saved_record_is_drawn_as_its_command_printed_it(home, tmp_path, words):
    words = [word.format(home=home) for word in words]
    saved = tmp_path / "record.json"
    command(*words, "--json", "--output", saved)
    plain, drawn = command(*words).stdout, command("render", saved).stdout
    timeless = [re.sub(r"[0-9.]+ s\b|read .* in", "", x) for x in (plain, drawn)]
    assert timeless[0] == timeless[1] != ""


def test_adding_and_sketching_are_drawn_too(home, tmp_path):
    added, sketched = tmp_path / "added.json", tmp_path / "sketched.json"
    command("add", home / "a", "--registry", tmp_path / "r", "--json", "--output", added)
    command("sketch", home / "a", "--out", tmp_path / "s", "--json", "--output", sketched)
    assert "1 added, 0 already registered" in command("render", added).stdout
    assert command("render", sketched).stdout.startswith("1 file written, ")


def test_a_saved_record_is_written_in_every_format(tmp_path):
    saved = tmp_path / "family.json"
    saved.write_text(families.small().to_json())
    for form in ("dot", "mermaid", "newick", "gexf"):
        assert command("render", saved, "--format", form).stdout
    graph = command("render", saved, "--format", "graphml").stdout
    assert len(networkx.read_graphml(io.BytesIO(graph.encode()))) == 8
    done = command("render", saved, "--format", "sarif")
    assert done.returncode == 4
    assert "it has dot, mermaid, graphml, gexf, newick, json, html" in done.stderr
    page = tmp_path / "page.html"
    assert command("render", saved, "--html", page).stdout.startswith(
        "8 models (1 duplicate): 7 in 1 family, "
    )
    assert "<svg" in page.read_text()
    assert command("render", saved, "--html", page, "--format", "dot").returncode == 4


def test_formats_of_pairs_and_checks(home, tmp_path):
    saved, checked = tmp_path / "pair.json", tmp_path / "check.json"
    pair = ("compare", home / "a", home / "child")
    command(*pair, "--json", "--output", saved)
    for form in ("cyclonedx", "in-toto", "model-card"):
        fresh, drawn = command(*pair, "--format", form), command("render", saved, "--format", form)
        assert drawn.stdout == fresh.stdout != ""
    words = ("check", home / "child", "--deny", home / "a", "--seed", 0)
    command(*words, "--format", "json", "--output", checked)
    for form in ("text", "json", "markdown", "junit", "html", "sarif"):
        assert command("render", checked, "--format", form).stdout
    fresh = command(*words, "--format", "junit")
    drawn = command("render", checked, "--format", "junit")
    assert (fresh.returncode, drawn.returncode) == (1, 0)
    assert TIMES.sub("", fresh.stdout) == TIMES.sub("", drawn.stdout)
    assert command("render", checked, "--html", tmp_path / "x.html").returncode == 0
    listed = tmp_path / "list.json"
    command("list", "--registry", home / "r.sqlite", "--json", "--output", listed)
    assert command("render", listed, "--html", tmp_path / "y.html").returncode == 4
    assert Comparison.from_json(saved.read_text()).verdict == "dependent"
    assert FamilyGraph.from_json(families.small().to_json()) == families.small()


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "weightkin/other/1"}', "{}", "\x00"])
def test_what_is_no_record_is_one_line(tmp_path, text):
    (tmp_path / "record.json").write_text(text)
    done = command("render", tmp_path / "record.json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert command("render", tmp_path / "none.json").returncode == 3
