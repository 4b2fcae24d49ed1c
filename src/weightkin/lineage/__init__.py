"""Many models in, their family out: who descends from whom.

`collection` gathers sketches, and `relatives` tests pairs; those joined are a family. `looks` finds
families that only whole weights join, and `frame` brings disguised members into the order of the
rest. `parents` finds who was made from whom and `parent_edges` draws it: members are put in one
layout (`family_frame`) and measured (`member_measures`, `pair_measures`), lossy images and mixtures
are found (`images`, `mixtures`), and fitted trees (`boosted`, `posterior`) weigh what speaks for a
pair (`pair_features`), for having no parent (`root_features`) and, knowing a first answer, for both
(`second_look`), and once more without copies and mixtures (`trained`). `forests` sums over all
forests, `arborescence` finds the most probable one. `family` does all of this, `growing` lays out
one family of a graph anew, and `mother` is the MoTHer recipe.
"""
