"""Claim: what is kept depends on shapes alone, and tensors that grew or shrank share most of it."""

import numpy as np
import pytest

from weightkin.errors import UsageError
from weightkin.sketch import Scheme
from weightkin.sketch.scheme import WHOLE_SCHEME, hashed

SCHEMES = (Scheme(), Scheme(n_rows=8, n_scattered=4, n_columns=5, n_tail=3, n_tail_columns=2))


def _mixed(index):
    """SplitMix64 in plain integers."""
    z = (index + 1) * 0x9E3779B97F4A7C15 % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def test_the_hash_is_the_published_one():
    index = np.array([0, 1, 2, 1000, 2**40])
    assert hashed(index).tolist() == [_mixed(int(i)) for i in index]
    assert hashed(index)[0] == 0xE220A8397B1DCDAF  # first output of SplitMix64 from seed 0


@pytest.mark.parametrize("scheme", [*SCHEMES, Scheme.whole()])
def test_a_name_spells_out_every_parameter(scheme):
    assert Scheme.from_name(scheme.name) == scheme


def test_samples_are_the_same_with_and_without_token_views():
    old = Scheme.from_name("ws1-r48-s16-c96-t64x32")
    assert (old, hash(old)) == (Scheme(), hash(Scheme()))
    assert (old.has_views, Scheme().has_views, Scheme.whole().has_views) == (False, True, False)
    assert Scheme.from_name(old.name).name == old.name


def test_names_of_no_scheme_are_refused():
    assert Scheme().name == "ws2-r48-s16-c96-t64x32"
    assert Scheme.whole().name == WHOLE_SCHEME
    for name in (
        "",
        "ws3-r48-s16-c96-t64x32",
        "ws2-whole",
        "ws1-r0-s1-c1-t1x1",
        "ws1-r9999999-s1-c1-t1x1",
    ):
        with pytest.raises(UsageError):
            Scheme.from_name(name)


@pytest.mark.parametrize("n", [0, 1, 7, 48, 60, 64, 65, 1000])
def test_rows_are_inside_distinct_and_as_many_as_the_scheme_says(n):
    scheme = Scheme()
    run, scattered = scheme.run(n), scheme.scattered(n)
    assert run.tolist() == list(range(min(n, 48)))
    assert len(scattered) == min(16, n - len(run))
    assert len(set(run) | set(scattered)) == len(run) + len(scattered)
    assert all(0 <= i < n for i in scattered)


def test_fused_parts_have_runs_of_their_own():
    scheme = Scheme(n_rows=4, n_scattered=3)
    assert scheme.run(20, (0, 10)).tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    assert not set(scheme.scattered(20, (0, 10))) & set(scheme.run(20, (0, 10)))


def test_scattered_rows_are_those_with_the_smallest_hashes():
    scheme = Scheme()
    expected = sorted(range(48, 5000), key=_mixed)[:16]
    assert scheme.scattered(5000).tolist() == sorted(expected)


@pytest.mark.parametrize(("before", "after"), [(512, 544), (32000, 32064), (11008, 9000)])
def test_tensors_that_grew_or_shrank_share_most_rows(before, after):
    small, large = sorted((before, after))
    scheme = Scheme(n_scattered=64)
    shared = set(scheme.scattered(small)) & set(scheme.scattered(large))
    assert len(shared) >= 0.7 * 64
    # every row of the larger that the smaller has, too, is shared: no part is lost to chance
    assert {i for i in scheme.scattered(large) if i < small} == shared


def test_scattered_rows_are_spread_evenly():
    rows = Scheme(n_scattered=2000).scattered(100_000)
    assert abs(rows.mean() / 100_000 - 0.5) < 0.03


def test_the_tail_never_overlaps_the_run():
    scheme = Scheme()
    assert scheme.tail(1000).tolist() == list(range(936, 1000))
    assert scheme.tail(60).tolist() == list(range(48, 60))
    assert scheme.tail(20).tolist() == []
