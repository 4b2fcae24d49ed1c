"""Claim: a policy says what it says: unknown keys, types, levels and classes are refused."""

from pathlib import Path

import pytest

from weightkin.errors import UsageError
from weightkin.policy import Policy, read_policy
from weightkin.records.checking import ALWAYS, RULES
from weightkin.records.licences import CLASSES, LICENCES, class_of, looser

SAMPLE = Path(__file__).parents[2] / "docs" / "policy.toml"


def test_the_sample_states_every_rule_and_the_levels_that_hold_anyway():
    found = read_policy(SAMPLE)
    default = Policy()
    assert set(found.levels) == set(RULES) - {ALWAYS}
    assert {rule: found.level(rule) for rule in RULES} == {
        rule: default.level(rule) for rule in RULES
    }
    for name in ("calibrated", "aligned_only", "undetermined_direction", "alpha", "licences"):
        assert getattr(found, name) == getattr(default, name), name
    lists = found.forbidden_ancestors, found.forbidden_families, found.expected_parents
    assert lists == ((), (), ())


def test_what_is_stated_is_kept(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(
        '[forbidden]\nancestors = ["a", "#3", "a"]\n[rules]\nunknown-origin = "off"\n'
        'unknown-licence = "error"\n[evidence]\nalpha = 1e-9\naligned-only = "off"\n'
        '[licences]\n"Our-1.0" = "non-commercial"\n'
    )
    found = read_policy(path)
    assert found.forbidden_ancestors == ("a", "#3")
    assert (found.level("unknown-origin"), found.level("unknown-licence")) == ("off", "error")
    assert found.stated == {"unknown-licence"}
    assert (found.alpha, found.aligned_only) == (1e-9, "off")
    assert class_of("our-1.0", found.licences) == "non-commercial"


@pytest.mark.parametrize(
    "text",
    [
        "forbiden = 1", "[forbidden]\nancestor = []", "[rules]\nforbidden = 'error'",
        "[rules]\nunverifiable = 'off'", "[rules]\nunknown-origin = 'fatal'", "rules = 3",
        "[rules]\nunknown-origin = 1", "[forbidden]\nancestors = 'a'", "[evidence]\nalpha = 2.0",
        "[forbidden]\nancestors = [1]", "[forbidden]\nfamilies = ['']", "[evidence]\nalpha = 'x'",
        "[licences]\nx = 'free'", "[licences]\nx = []", "[evidence]\ncalibrated = true",
        "", "# nothing", "[forbidden]", "\ufeff[rules]\nunknown-origin = 'off'",
        "[forbidden]\nancestors = [' ']", "[evidence]\nalpha = 1e-320", "[evidence]\nalpha = inf",
        "not toml", "a = 1\na = 2", "[evidence]\nalpha = nan", "x = " + "[" * 5000,
        '"\\u202e\\u001b[31m" = 1', "[" + "x" * 10000 + "]", "[[forbidden]]",
    ],
)  # fmt: skip
def test_a_wrong_policy_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_policy(path)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 1000 + len(str(path))
    assert caught.value.exit_code == 4


def test_files_that_are_no_text_or_not_there_are_refused_too(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b"#" * (2 << 20))
    for name in ("bytes", "large", "missing", "", "null\0byte"):
        with pytest.raises(UsageError):
            read_policy(str(tmp_path / name))


def test_licences_are_known_by_their_names_in_one_class_each():
    assert set(LICENCES) == set(CLASSES)
    names = [name for names in LICENCES.values() for name in names]
    assert len(names) == len(set(names))
    assert all(name == name.strip().lower() for name in names)
    for licence, kind in (
        ("Apache-2.0", "permissive"), ("GPL-3.0-only", "strong-copyleft"),
        ("gpl-3.0-or-later", "strong-copyleft"), ("GPL-2.0+", "strong-copyleft"),
        ("openrail++", "use-restricted"), ("llama3.1", "use-restricted"), ("MPL-2.0 ",
        "weak-copyleft"), ("cc-by-nc-4.0", "non-commercial"), ("other", ""), ("", ""),
        ("unknown", ""), ("<script>", ""),
    ):  # fmt: skip
        assert class_of(licence, {}) == kind, licence
    assert class_of("mit", {"mit": "non-commercial"}) == "non-commercial"


def test_looser_is_a_matter_of_class():
    ours, theirs = {"mit": "permissive"}, {"cc-by-nc-4.0": "non-commercial"}
    found = [looser(ours, theirs, is_ancestor=above) for above in (True, False)]
    assert [x.code for x in found] == ["licence-looser", "licence-looser-related"]
    assert list(found[0].data.values()) == [*ours, *ours.values(), *theirs, *theirs.values()]
    assert looser(theirs, ours, is_ancestor=True) is None
    restricted = [{name: "use-restricted"} for name in ("gemma", "llama3")]
    assert looser(*restricted, is_ancestor=True) is None
