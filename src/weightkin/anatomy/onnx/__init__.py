"""The graph of a network from the nodes that an ONNX file carries: shapes first, then meaning.

`network` chooses sizes (`sizes`) and keeps the `reading` in which most nodes are understood. A
reading turns tensors into weights or constants (`tensors`), computes what shapes and constants say
beforehand (`known`), and asks one function for every operation: `plain`, `forms`, `products`,
`space`, `rows`, `recurrent`, `fused`, `codes`; they write into a `build.Builder`. `dead` and
`states` correct what lies outside of single nodes, `formulas` what the weights themselves say.
`read` returns axes.
"""
