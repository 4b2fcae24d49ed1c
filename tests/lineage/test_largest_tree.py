"""Claim: a family is called after the top of its largest tree, whatever its edges are."""

from weightkin.lineage.largest_tree import heaviest_parents, top_of_largest_tree


def test_the_top_has_the_most_nodes_below_it():
    above = {1: 0, 2: 0, 4: 3, 5: 4, 6: 5}
    assert top_of_largest_tree(above, [True] * 7) == 3
    assert top_of_largest_tree(above, [True, True, True, False, True, True, True]) == 0
    assert top_of_largest_tree({}, [True, True]) == 0


def test_a_cycle_ends():
    assert top_of_largest_tree({0: 0}, [True]) == 0
    assert top_of_largest_tree({0: 1, 1: 2, 2: 0, 3: 2}, [True] * 5) in (0, 1, 2)


def test_of_several_parents_the_heaviest_counts():
    assert heaviest_parents([(0, 2, 0.4), (1, 2, -0.6), (3, 4, 1.0), (5, 4, 1.0)]) == {2: 1, 4: 3}
