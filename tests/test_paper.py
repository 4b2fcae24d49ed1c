"""Claim: the first paper's statistics find what they should in the zoo, and where ours differ."""

import pytest
from benchmarks.lib import claim, results
from benchmarks.lib.paper_statistics import can_run, folder_of, span

from weightkin.api.locate import locate

paper = claim("paper")
paper_hybrid = claim("paper_hybrid")
paper_places = claim("paper_places")
paper_refits = claim("paper_refits")

pytestmark = pytest.mark.claim("first paper")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pairs(zoo):
    names = ("llama-a", "llama-a-ft1", "llama-distilled")
    return {(p.a, p.b): p for p in paper.all_pairs(names)}


def test_every_statistic_finds_a_fine_tune(pairs):
    child = pairs["llama-a", "llama-a-ft1"].found
    assert [key for key, _ in paper.STATISTICS if not child.finds(key)] == []
    assert child.agreement > 0.9
    assert child.verdict == "dependent"


def test_exact_statistics_do_not_take_a_student_for_a_child(pairs):
    for (a, b), pair in pairs.items():
        if "llama-distilled" in (a, b):
            assert pair.relation == "student and its teacher's family"
            assert pair.found.verdict == "no-evidence"
            assert min(pair.found.log10[key] for key in ("phi_l2", "u_drawn", "h_drawn")) > -4
            assert pair.found.agreement < 0.1


def test_pairs_are_summed_up_in_tables(pairs):
    lines = paper.pair_lines(list(pairs.values()))
    assert any(
        line.startswith("3 trained models of one shape, 3 pairs: 1 related") for line in lines
    )
    assert sum(line.startswith("| `compare`") for line in lines) == 1


def test_relations_are_named_by_the_truth():
    assert paper.relation("llama-a", "llama-a-long") == "parent and child"
    assert paper.relation("llama-c", "llama-c-twin") == "same initialisation"
    assert paper.relation("llama-a-new-mlps", "llama-a-ft1") == "every MLP new, the rest kept"
    assert paper.relation("llama-b", "llama-distilled") == "unrelated, same data"


@pytest.fixture(scope="module")
def retrained(zoo):
    """Block 2 of llama-a, replaced by a fresh MLP of twice the width."""
    return paper_refits.refit_all("llama-a", 300, blocks=[2])[0]


def test_a_retrained_mlp_is_recognised_and_a_strangers_is_not(retrained):
    kin, stranger = (
        paper_refits.match_block(retrained, name, 2) for name in ("llama-a-ft1", "llama-b")
    )
    assert kin.agreement > 0.3
    assert kin.log10_pvalue < -5
    assert stranger.agreement < 0.05


def test_signs_left_as_they_fall_cost_much_of_the_agreement(retrained):
    signed, printed = (
        paper_refits.match_block(retrained, "llama-a-ft1", 2, oriented=oriented)
        for oriented in (True, False)
    )
    assert printed.agreement < 0.75 * signed.agreement


def test_units_of_a_model_pruned_in_every_direction_are_found_through_tokens(zoo, tmp_path):
    small = paper_places.prune(tmp_path, n_steps=0)
    found = paper_places.token_map(folder_of("llama-a"), small.path)
    assert set(found.units) == set(enumerate(paper_places.KEPT_BLOCKS))
    n_right, n_found = paper_places.unit_shares(found.units, small)
    assert n_right == n_found > 500
    stranger = paper_places.token_map(folder_of("llama-b"), small.path)
    assert stranger.units == {}


def test_residual_dimensions_of_the_pruned_model_are_located(zoo, tmp_path):
    small = paper_places.prune(tmp_path, n_steps=0)
    (residual,) = locate(folder_of("llama-a"), small.path).residual
    assert residual.kept_a == small.residual


def test_every_tensor_of_a_hybrid_is_placed(zoo):
    places = [locate(folder_of(x), folder_of("hybrid-ab")) for x in ("llama-a", "llama-b")]
    for name, source in paper_hybrid.tensor_sources(places).items():
        assert source == any(f"layers.{k}." in name for k in (1, 3, 5)), name


def test_the_section_says_so_where_models_cannot_run(monkeypatch):
    assert can_run()
    monkeypatch.setattr(paper, "can_run", lambda: False)
    (line,) = paper.run()
    assert "torch" in line


def test_the_section_is_part_of_the_results():
    assert results.SECTIONS["paper"].module == paper.__name__
    assert span([-2.0, -1.0]) == "-2.0 to -1.0"
    assert span([]) == "-"
