"""Many models in, their family out: who descends from whom.

`collection` gathers sketches, and `relatives` tests pairs; those joined are a family. `parents`
draws its edges: members are put in one frame (`family_frame`) and measured (`member_measures`,
`pair_measures`), lossy images and mixtures are found (`images`, `mixtures`), and fitted trees
(`boosted`, `posterior`) weigh what speaks for a pair (`pair_features`), for having no parent
(`root_features`) and, knowing a first answer, for both (`second_look`). `forests` sums over all
forests, `arborescence` finds the most probable one. `hidden` adds disguised copies. `family` does
all of this, `growing` adds one model to a graph, and `mother` is the MoTHer recipe.
"""
