"""Claim: the home page and the page of a model say what is here and what needs a look."""

import json
import re
import sqlite3
from dataclasses import replace
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from tests.families import graph, possible
from tests.registry.sealed import change, reseal
from tests.web import slow
from tests.web.conftest import copy_of, serving
from weightkin import Registry, __version__
from weightkin.records.family import FamilyEdge, FamilyNode
from weightkin.registry import browsing, kept_graph
from weightkin.registry.found_family import found_family
from weightkin.registry.known import known_of
from weightkin.registry.store import opened
from weightkin.web import homepage, overviews
from weightkin.web.app import make_app
from weightkin.web.familypage import Families
from weightkin.web.homepage import Asked
from weightkin.web.jobs import Job
from weightkin.web.serving import open_desk

HERE = "http://127.0.0.1:8321"
HTML = "text/html"
DROP = """() => {
    const moved = new DataTransfer();
    moved.items.add(new File(["a sketch"], "s.sketch.safetensors"));
    document.querySelector(".finder").dispatchEvent(
        new DragEvent("drop", { dataTransfer: moved, cancelable: true, bubbles: true }));
}"""
WIDE = "document.documentElement.scrollWidth > innerWidth"


MADE = {"llama-a": (("llama-a-ft1", "fine-tuned"), ("llama-a-ft2", "fine-tuned"),
                    ("llama-a-int4", "quantised")),
        "llama-b": (("llama-b-ft1", "fine-tuned"),), "gpt-a": (("gpt-a-ft1", "fine-tuned"),),
        "vit-a": (("vit-a-ft1", "fine-tuned"),)}  # fmt: skip


@pytest.fixture(scope="module")
def path(filled, tmp_path_factory):
    """A registry with a family graph: two licences permit more than that of an ancestor."""
    found = copy_of(filled, tmp_path_factory.mktemp("home"))
    change(found, "UPDATE models SET licence = 'cc-by-nc-4.0' WHERE name = 'llama-a'")
    reseal(found)
    sure = {"direction": "determined", "log10_pvalue": -400.0, "parent_probability": 0.99,
            "support": 1.0}  # fmt: skip
    nodes = [FamilyNode(id=m.name, name=m.name, source=m.source, digest=m.digest,
                        registered=(m.id,)) for m in Registry(found).list()]  # fmt: skip
    edges = [FamilyEdge(parent=parent, child=child, kind=kind, **sure)
             for parent, below in MADE.items() for child, kind in below]  # fmt: skip
    families = [(parent, *(x for x, _ in below)) for parent, below in MADE.items()]
    joined = {x for members in families for x in members}
    families += [(x.id,) for x in nodes if x.id not in joined]
    with opened(found, to_write=True) as connection:
        kept_graph.keep(connection, known_of(graph(nodes, edges, families, version=__version__)))
    return found


@pytest.fixture
def client(path):
    with open_desk(path, work=slow.for_ever) as service:
        yield TestClient(make_app(service), base_url=HERE)


def names(text):
    """Names of the models in the table, in its order."""
    rows = text.split("<tbody>")[-1].split("<tr>")[1:]
    return [re.search(r'class="name" href="/models/\d+">([^<]+)', row)[1] for row in rows]


def figures(text):
    """The counts at the top, each with its words."""
    return dict(re.findall(r'<dt>([^<]+)</dt><dd><a href="[^"]+">([^<]+)<', text))


def test_counts_say_what_is_here_and_what_needs_a_look(client):
    text = client.get("/").text
    assert figures(text) == {
        "Models": "12", "Families": "4", "Contradicted declarations": "1",
        "Licence conflicts": "2", "Parent not declared": "4",
    }  # fmt: skip
    assert names(client.get("/?look=contradicted").text) == ["llama-a-int4"]
    assert names(client.get("/?look=licence").text) == ["llama-a-ft1", "llama-a-int4"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=VIT", ["vit-a", "vit-a-ft1"]),
        ("q=%2311", ["vit-a-ft1"]),
        ("q=nothing", []),
        ("architecture=ViTForImageClassification", ["vit-a", "vit-a-ft1"]),
        ("family=10&q=ft1", ["vit-a-ft1"]),
        ("verdict=confirmed", ["llama-a-ft1"]),
        ("q=vit&sort=-name", ["vit-a-ft1", "vit-a"]),
        ("q=llama-a&sort=declared", ["llama-a-ft1", "llama-a-int4", "llama-a", "llama-a-ft2"]),
        ("q=llama-a&sort=-declared", ["llama-a-int4", "llama-a-ft1", "llama-a", "llama-a-ft2"]),
        ("q=gpt&page=2", []),
        ("q=gpt&sort=none&look=none", ["gpt-a", "gpt-a-ft1"]),
    ],
)
def test_models_are_found_filtered_and_sorted(client, query, found):
    assert names(client.get(f"/?{query}").text) == found


def test_a_head_is_a_link_that_sorts_and_says_so(client):
    text = client.get("/?q=llama").text
    assert "aria-sort" not in text
    assert 'href="/?q=llama&amp;sort=-parameters#models"' in text  # the largest first
    text = client.get("/?q=llama&sort=-parameters").text
    assert text.count("aria-sort") == 1
    assert '<th scope="col" aria-sort="descending" class="num">' in text
    assert 'href="/?q=llama&amp;sort=parameters#models"' in text


def test_filters_count_what_is_left_of_the_other_filters(client, path):
    text = client.get("/?q=vit").text
    assert "ViTForImageClassification (2)" in text
    assert "LlamaForCausalLM" not in text.split("<table")[0]


def test_without_a_graph_nothing_is_claimed_of_it(filled, tmp_path):
    with open_desk(copy_of(filled, tmp_path), work=slow.for_ever) as service:
        client = TestClient(make_app(service), base_url=HERE)
        assert client.get("/").text.count("not known yet") == 3
        page = client.get("/models/4").text
        assert "not known yet" in page
        assert "LlamaForCausalLM" in page


def test_other_sketches_are_read_while_the_first_are_shown(client, monkeypatch):
    monkeypatch.setattr(overviews, "AT_ONCE", 3)
    monkeypatch.setattr(homepage, "ON_PAGE", 5)
    begun = []
    monkeypatch.setattr(overviews.threading, "Thread", lambda **x: begun.append(x) or Started())
    text = client.get("/?sort=name").text
    assert "9 are left" in text
    assert len(names(text)) == 5
    assert "Page 1 of 3" in text
    begun[0]["target"](*begun[0]["args"])
    text = client.get("/?sort=name&page=3").text
    assert "are left" not in text
    assert names(text) == ["vit-a", "vit-a-ft1"]


class Started:
    """A thread that never runs."""

    def start(self):
        pass

    def is_alive(self):
        return True


def test_visitors_see_names_without_folders_and_find_nothing_by_them(filled, tmp_path):
    copied = copy_of(filled, tmp_path)
    with sqlite3.connect(copied) as connection:
        parents = json.dumps(["/srv/secret/llama-b"])
        connection.execute("UPDATE models SET parents = ?, name = '/srv/secret/x' WHERE id = 4",
                           (parents,))  # fmt: skip
    reseal(copied)
    with open_desk(copied, work=slow.for_ever) as service:
        client = TestClient(make_app(service, has_visitors=True), base_url=HERE)
        for address in ("/", "/?sort=declared", "/models/4"):
            text = client.get(address).text
            assert "llama-b" in text
            assert "secret" not in text, address
        assert client.get("/?q=secret").text.count("<tr>") < 3  # the word typed, and its name


def test_the_page_of_a_model_shows_its_place_before_any_search(client):
    text = client.get("/models/4").text  # llama-a-int4
    assert "quantised" in text.split("Path to the root")[1]
    assert 'class="term" data-term="support" title="share of resamples' in text
    assert "<strong>apache-2.0</strong> (permissive) permits more than" in text
    assert client.get("/api/models/4").json()["ancestors"] == [{
        "id": 1, "name": "llama-a", "steps": 1, "basis": "determined", "licence": "cc-by-nc-4.0",
        "conflict": "conflict", "own_licence": "apache-2.0", "own_class": "permissive",
        "ancestor_licence": "cc-by-nc-4.0", "ancestor_class": "non-commercial",
    }]  # fmt: skip
    assert "no shared weights were found, or it was derived from this model" in text
    assert "none found" not in text
    children = client.get("/models/1").text.split("<h2>Children</h2>")[1]
    assert "llama-a-int4" in children
    assert client.get("/models/99").status_code == 404


def test_a_model_says_what_was_read_what_was_left_out_and_what_is_kept(path, monkeypatch):
    with open_desk(path, work=slow.for_ever) as service:
        client = TestClient(make_app(service), base_url=HERE)
        kept = browsing.sketch_of(service.registry, service.model(1))
        text = client.get("/models/1").text.split("<h2>Contents</h2>")[1]
        assert f"{len(kept.as_stored)} tensors, " in text
        assert "nothing reported" in text
        assert "keeps all values of this model" in text
        rows = re.findall(
            r'<td>([^<]*?)(?: <span.*?)?</td><td data-label="Tensors".*?>(\d+)<', text
        )
        assert rows[0] == ("decoder", "54")
        assert sum(int(n) for _, n in rows) == len(kept.as_stored)
        sample = {k: replace(x, stored=x.stored[:1]) for k, x in kept.as_stored.items()}
        scheme = replace(kept.scheme, n_rows=1, is_whole=False)
        lost = replace(kept, tensors=sample, before=None, problems=(("part-2", "it is cut off"),),
                       is_partial=True, scheme=scheme)  # fmt: skip
        monkeypatch.setattr(browsing, "sketch_of", lambda *_: lost)
        text = client.get("/models/1").text.split("<h2>Contents</h2>")[1]
        assert "1 item, so that tensors are missing" in text
        assert '<td>part-2</td><td data-label="Why">it is cut off</td>' in text
        assert "keeps a sketch of this model: a fixed sample of every tensor" in text
        assert re.search(r"Kept here</dt><dd>[\d,]+ values, [\d.]+ % of them", text)


def test_licences_of_all_ancestors_stand_in_one_table(filled, tmp_path):
    found = copy_of(filled, tmp_path)
    licences = {"llama-a": "cc-by-nc-4.0", "llama-a-ft1": "mit", "llama-b": "gpl-3.0",
                "llama-c": "my-own", "llama-a-ft2": "mit"}  # fmt: skip
    for name, licence in licences.items():
        change(found, f"UPDATE models SET licence = '{licence}', parents = '[]'"
                      f" WHERE name = '{name}'")  # fmt: skip
    reseal(found)
    ids = {m.name: m.id for m in Registry(found).list()}
    sure = {"direction": "determined", "parent_probability": 0.99, "log10_pvalue": -400.0}
    edges = [("llama-a", "llama-a-ft1", 1.0), ("llama-a-ft1", "llama-a-ft2", 0.5),
             ("llama-b", "llama-a-ft2", 0.5), ("llama-c", "llama-b", 1.0)]  # fmt: skip
    made = [FamilyEdge(parent=a, child=b, weight=w, kind="merged" if w < 1 else "fine-tuned",
                       **sure) for a, b, w in edges]  # fmt: skip
    nodes = [FamilyNode(id=x, name=x, registered=(ids[x],)) for x in licences]
    with opened(found, to_write=True) as connection:
        kept_graph.keep(connection, known_of(graph(nodes, made, version=__version__)))
    with open_desk(found, work=slow.for_ever) as service:
        client = TestClient(make_app(service), base_url=HERE)
        text = client.get(f"/models/{ids['llama-a-ft2']}").text
        table = text.split("Licences of its ancestors</h2>")[1].split("</table>")[0]
        rows = [re.sub(r"<[^>]+>", " ", x).split() for x in table.split("<tr>")[2:]]
        assert [(x[0], x[2], x[4], x[5]) for x in rows] == [
            ("llama-a-ft1", "1", "mit", "no"), ("llama-b", "1", "gpl-3.0", "conflict"),
            ("llama-a", "2", "cc-by-nc-4.0", "conflict"), ("llama-c", "2", "my-own", "cannot"),
        ]  # fmt: skip
        said = client.get(f"/api/models/{ids['llama-a-ft2']}").json()["ancestors"]
        assert [x["conflict"] for x in said] == ["none", "conflict", "conflict", "unknown"]
        root = client.get(f"/models/{ids['llama-a']}")
        assert "Licences of its ancestors" not in root.text


def test_a_parent_that_is_undetermined_is_called_so_and_counted_apart(filled, tmp_path):
    found = copy_of(filled, tmp_path)
    change(found, "UPDATE models SET licence = 'cc-by-nc-4.0' WHERE name = 'llama-a'")
    reseal(found)
    ids = {m.name: m.id for m in Registry(found).list()}
    nodes = [FamilyNode(id=x, name=x, registered=(ids[x],)) for x in ("llama-a", "llama-b")]
    nodes.append(FamilyNode(id="llama-a-ft1", name="llama-a-ft1", duplicates=("llama-a-ft2",),
                            registered=(ids["llama-a-ft1"], ids["llama-a-ft2"])))  # fmt: skip
    edges = [FamilyEdge(parent="llama-a", child="llama-a-ft1", kind="fine-tuned",
                        direction_probability=0.97, parent_probability=0.6, log10_pvalue=-9.0,
                        parents=possible(**{"llama-a": 0.6}, unobserved=0.3, root=0.1)),
             FamilyEdge(parent="llama-a", child="llama-b", kind="fine-tuned",
                        direction="determined", parent_probability=0.9)]  # fmt: skip
    with opened(found, to_write=True) as connection:
        kept_graph.keep(connection, known_of(graph(nodes, edges, version=__version__)))
    with open_desk(found, work=slow.for_ever) as service:
        client = TestClient(make_app(service), base_url=HERE)
        child = client.get(f"/models/{ids['llama-a-ft1']}").text
        assert '<span class="how">fine-tuned, parent undetermined</span>' in child
        assert f'<dd>possibly <a href="/models/{ids["llama-a"]}">' in child
        for address in ("/", f"/models/{ids['llama-b']}", f"/models/{ids['llama-a']}"):
            assert "fine-tuned, not shown to be related" in client.get(address).text
        assert "support" not in child  # 0 says nothing here
        copy = client.get(f"/models/{ids['llama-a-ft2']}").text  # it declares nothing
        assert '<span class="badge possible">possible</span>' in copy
        assert " · licence cc-by-nc-4.0" in copy
        assert ">undeclared</span>" not in copy
        assert "; probability as the parent 0.60; as the older of the two 0.97" in copy
        assert "or a model that is not here 0.30, none of them 0.10" in copy
        assert "Licence conflict" not in copy
        licences = copy.split("Licences of its ancestors</h2>")[1].split("</table>")[0]
        assert "possible ancestor: parent undetermined" in licences
        assert "cannot tell" in licences  # it declares no licence
        assert "possible</span><p" in child.split("Licences of its ancestors</h2>")[1]  # mit
        assert client.get("/").text.count("fine-tuned, parent undetermined") == 2  # and its copy
        made = client.get(f"/models/{ids['llama-a']}").text.split("Models made from it</dt>")[1]
        assert made.startswith('<dd><a href="#made">1</a> <span class="how">1 more, parent undet')
        assert '<span class="how">(2 fine-tuned)</span></dd>' in made


def test_the_api_page_shows_commands_as_code(client):
    text = client.get("/about").text
    assert "<code>weightkin sketch</code>" in text
    assert "`" not in text


def test_a_graph_that_is_being_drawn_is_watched_and_one_that_lacks_models_is_said(path, tmp_path):
    with open_desk(copy_of(path, tmp_path), work=slow.for_ever) as service:
        client = TestClient(make_app(service), base_url=HERE)
        with sqlite3.connect(service.registry) as connection:
            connection.execute("DELETE FROM families WHERE nodes LIKE '%vit-a%'")
        text = client.get("/").text
        assert figures(text)["Not in the family graph"] == "2"
        assert "Update the family graph" in text
        job = service.family()
        text = client.get("/").text
        assert f'data-job="{job.id}"' in text
        assert ">Draw the family graph</a>" in client.get("/jobs").text
        assert "Update the family graph" not in text
        service.runner.cancel(job.id)


def test_the_family_page_shows_the_graph_that_is_in_the_registry(client, path, tmp_path):
    text = client.get("/family").text
    assert "Draw the family graph" not in text
    assert "<h1>Family of llama-a</h1>" in text
    assert (
        "6 models, 5 edges, 1 of them only declared by a model. By their weights these are 2"
        in text
    )
    edge = re.search(r'href="(/family/edges/0/\d+)"', text)[1]
    assert "was probably made from" in client.get(edge).text
    assert client.get("/family/edges/0/999").status_code == 404
    assert {x["id"] for x in client.get("/api/family").json()["nodes"]} >= {"llama-a", "vit-a-ft1"}
    with open_desk(copy_of(path, tmp_path), work=slow.for_ever) as service:
        again = TestClient(make_app(service), base_url=HERE)
        with sqlite3.connect(service.registry) as connection:
            connection.execute("DELETE FROM families WHERE nodes LIKE '%vit-a%'")
        assert '2 models not in this graph yet.</span> <button class="button">Draw all' in (
            again.get("/family").text
        )
        with sqlite3.connect(service.registry) as connection:
            connection.execute("DELETE FROM family")
        assert "Draw the family graph" in again.get("/family").text
        assert again.get("/family/edges/0/0").status_code == 404
        assert again.get("/api/family").status_code == 404


@pytest.mark.parametrize(
    ("ended", "is_young", "shown"), [("2000", False, 0), ("2000", True, 7), ("2999", False, 7)]
)
def test_the_newer_graph_is_shown_that_of_a_job_where_nothing_was_added(
    path, tmp_path, ended, is_young, shown
):
    with open_desk(copy_of(path, tmp_path), work=slow.for_ever) as service:
        stamp = service.stamp() if is_young else "before"
        job = Job(id=7, kind="family", title="", asked={}, stamp=stamp, state="done",
                  made=ended, ended=ended)  # fmt: skip
        found = replace(service, jobs=SimpleNamespace(latest=lambda *_, **__: job))
        answer = found.newest_family()
        assert (answer.job, answer.is_young) == (shown, is_young or not shown)


def test_models_that_were_removed_are_in_no_graph_and_what_is_left_of_their_family_is_missing(
    path, tmp_path
):
    with open_desk(copy_of(path, tmp_path), work=slow.for_ever) as service:
        client = TestClient(make_app(service), base_url=HERE)
        assert "Draw" not in client.get("/family").text
        Registry(service.registry).remove("#12")  # it was alone
        text = client.get("/family").text
        assert "moe-a" not in text
        assert "Draw" not in text
        Registry(service.registry).remove("#11")  # vit-a-ft1
        text = client.get("/family").text
        assert '1 model not in this graph yet.</span> <button class="button">Draw all' in text
        numbers = {k for x in client.get("/api/family").json()["nodes"] for k in x["registered"]}
        assert numbers == set(range(1, 10))
        assert figures(client.get("/").text)["Not in the family graph"] == "1"
        for number in range(1, 10):
            Registry(service.registry).remove(f"#{number}")
        text = client.get("/family").text
        assert "1 model not in this graph yet." in text
        assert "No two models" not in text


def jobs_with(service, record):
    """The jobs of a server on which one family graph was found, after all others."""
    job = Job(id=7, kind="family", title="", asked={}, stamp=service.stamp(), state="done",
              made="2999", ended="2999")  # fmt: skip
    return SimpleNamespace(latest=lambda *_, **__: job, get=lambda _: job, record=lambda _: record)


def test_the_graph_of_a_job_links_to_no_model_that_was_removed(path, tmp_path):
    with open_desk(copy_of(path, tmp_path), work=slow.for_ever) as service:
        record = found_family(service.registry).graph.to_json(None)
        change(service.registry, "DELETE FROM family")
        jobs = jobs_with(service, record)
        families = Families(replace(service, jobs=jobs))
        assert {x.href for x in families.latest().nodes.values()} >= {"/models/11", "/models/12"}
        Registry(service.registry).remove("#11")
        for found in (families.latest(), families.latest()):
            assert not found.answer.is_young
            assert not {"vit-a", "vit-a-ft1"} & found.nodes.keys()  # its family is left out
            assert found.n_missing == 1
        Registry(service.registry).remove("#12")
        nodes = families.latest().nodes.values()
        assert len(nodes) == 9
        assert all(x.href for x in nodes)


def test_the_api_lists_no_model_of_a_job_that_was_removed(path, tmp_path):
    with open_desk(copy_of(path, tmp_path), work=slow.for_ever) as service:
        record = found_family(service.registry).graph.to_json(None)
        change(service.registry, "DELETE FROM family")
        jobs = jobs_with(service, record)
        client = TestClient(make_app(replace(service, jobs=jobs)), base_url=HERE)
        named = {x["id"] for x in client.get("/api/family").json()["nodes"]}
        assert {"vit-a", "vit-a-ft1", "moe-a"} <= named
        assert figures(client.get("/").text)["Families"] == "4"  # home has the graph of the job
        for number in (11, 12):
            Registry(service.registry).remove(f"#{number}")
        graph = client.get("/api/family").json()
        assert {x["id"] for x in graph["nodes"]} == named - {"vit-a", "vit-a-ft1", "moe-a"}
        assert not any("vit-a" in (x["parent"], x["child"]) for x in graph["edges"])
        assert (
            "moe-a" in client.get(f"/api/jobs/{jobs.get(0).id}/record").text
        )  # what it found then
        assert "1 model not in this graph yet" in client.get("/family").text
        assert figures(client.get("/").text)["Not in the family graph"] == "1"


@pytest.mark.parametrize("other", ["level", "seed", "version", "seal"])
def test_a_graph_of_another_question_or_a_damaged_one_replaces_none_of_a_job(path, tmp_path, other):
    with open_desk(copy_of(path, tmp_path), work=slow.for_ever) as service:
        first = found_family(service.registry).graph
        with opened(service.registry, to_write=True) as connection:
            more = {"level": {"alpha": 0.05}, "seed": {"seed": 1}, "version": {"version": "0.1.0"}}
            kept_graph.keep(connection, known_of(replace(first, **more.get(other, {}))))
        with TestClient(make_app(service), base_url=HERE) as client:
            text = client.get("/").text
        said = {"level": "level 0.05 and the seed 0", "seed": "level 1e-06 and the seed 1",
                "version": "(weightkin 0.1.0)"}  # fmt: skip
        assert (said.get(other, "significance level") in text) == (other != "seal")
        assert ("not known yet" in text) == (other != "seal")
        assert {x.family for x in Registry(service.registry).listing().described} == (
            {"llama-a", "llama-b", "gpt-a", "vit-a", ""} if other == "seal" else {""}
        )
        if other == "seal":
            change(service.registry, "UPDATE family SET found = '2999'")
        assert service.newest_family() is None
        assert found_family(service.registry) is None
        assert "Draw the family graph" in (
            TestClient(make_app(service), base_url=HERE).get("/family").text
        )
        job = Job(id=7, kind="family", title="", asked={}, stamp="before", state="done",
                  made="2000", ended="2000")  # fmt: skip
        found = replace(service, jobs=SimpleNamespace(latest=lambda *_, **__: job))
        assert found.newest_family().job == 7
        assert not found.newest_family().is_young


def test_models_that_could_not_be_tested_are_not_said_to_have_no_relatives(filled, tmp_path):
    found = copy_of(filled, tmp_path)
    ids = {m.name: m.id for m in Registry(found).list()}
    nodes = [FamilyNode(id=x, name=x, registered=(ids[x],)) for x in ("gpt-a", "vit-a")]
    nodes.append(FamilyNode(id="moe-a", name="moe-a", duplicates=("moe-copy",),
                            registered=(ids["moe-a"],)))  # fmt: skip
    apart = graph(nodes, [], [(x.id,) for x in nodes], not_testable=("vit-a",), version=__version__)
    with opened(found, to_write=True) as connection:
        kept_graph.keep(connection, known_of(apart))
    with open_desk(found, work=slow.for_ever) as service:
        text = TestClient(make_app(service), base_url=HERE).get("/family").text
    alone, untested = text.split('<section id="alone">')[1].split('<section id="untested">')
    assert "vit-a" not in alone
    assert "1 model could not be tested" in untested
    assert "vit-a" in untested


def test_a_family_whose_ancestor_is_not_here_is_called_after_a_model_that_is(filled, tmp_path):
    found = copy_of(filled, tmp_path)
    ids = {m.name: m.id for m in Registry(found).list()}
    names = ("llama-a", "llama-b", "llama-a-ft1")
    nodes = [FamilyNode(id=x, name=x, registered=(ids[x],)) for x in names]
    nodes.append(FamilyNode(id="unobserved-1", observed=False))
    made = [("unobserved-1", "llama-b"), ("unobserved-1", "llama-a"), ("llama-a", "llama-a-ft1")]
    edges = [FamilyEdge(parent=a, child=b, kind="fine-tuned") for a, b in made]
    with opened(found, to_write=True) as connection:
        kept_graph.keep(connection, known_of(graph(nodes, edges, version=__version__)))
    with open_desk(found, work=slow.for_ever) as service:
        text = TestClient(make_app(service), base_url=HERE).get("/family").text
    title = "Family of llama-a and 2 others, whose common ancestor is not here"
    assert f"<h1>{title}</h1>" in text
    assert f"<title>{title} · weightkin</title>" in text


def test_addresses_keep_what_was_asked():
    asked = Asked(q="a b", sort="name", page=3)
    assert asked.address(family="7") == "/?q=a+b&sort=name&family=7"
    assert not Asked(sort="name", page=2).is_filtered


@pytest.fixture(scope="module")
def shown(path, browser):
    """Pages in a browser; nothing is complained about, and nothing leaves."""
    wrong = []
    with serving(path) as (address, _):

        def visit(where, **more):
            context = browser.new_context(**more)
            tab = context.new_page()
            tab.on("console", lambda said: wrong.append(said.text))
            tab.on("pageerror", lambda error: wrong.append(str(error)))
            tab.on("request", lambda x: x.url.startswith(address) or wrong.append(x.url))
            tab.goto(f"{address}{where}")
            return tab

        yield visit
    assert wrong == []


@pytest.mark.claim("home and model pages for a screen reader")
@pytest.mark.parametrize("where", ["/", "/models/4"])
def test_pages_are_whole_and_axe_finds_nothing(shown, axe, where):
    tab = shown(where, bypass_csp=True)
    if where == "/":
        assert tab.locator("table.list tbody tr").count() == 12
        assert tab.locator(".glance dd a").count() == 5
        assert tab.locator(".filters select").count() == 6
    else:
        assert tab.locator(".keys > div").count() == 5
        assert tab.locator(".conflicts tbody tr").count() == 1
        assert tab.locator(".path > li").count() == 2
        assert tab.locator(".parents > li").count() == 2
    for width in (1280, 390):
        tab.set_viewport_size({"width": width, "height": 850})
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            assert not tab.evaluate(WIDE)
            assert axe(tab) == []
    tab.emulate_media(media="print")
    assert not tab.locator(".screen:visible").count()
    assert not tab.evaluate(WIDE)
    tab.context.close()


@pytest.mark.claim("a sketch dropped on the search box")
def test_a_file_that_is_dropped_on_the_search_box_is_searched_for(shown):
    tab = shown("/")
    tab.route("**/search", lambda route: route.fulfill(body="<h1>Sent</h1>", content_type=HTML))
    with tab.expect_request("**/search") as sent:
        tab.evaluate(DROP)
    assert sent.value.method == "POST"
    assert tab.get_by_role("heading").inner_text() == "Sent"
    tab.context.close()
