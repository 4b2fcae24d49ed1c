"""Which dimensions of which weights may be relabelled, from the dataflow of a network.

`ir` is the graph that every front end makes: nodes, weights, shapes. `dims` describes a dimension
by what it is made of (atoms, joined end to end or multiplied), and says when two are one. `rules`
holds what each operation does to dimensions; what no rule knows is tied to "fixed". `labels` runs
a graph and returns the free atoms with their cells: the symmetry group of the network.
"""
