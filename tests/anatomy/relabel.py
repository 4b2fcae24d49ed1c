"""Relabel the weights of a graph as its labels allow, and run the graph: written as defined."""

import numpy as np

from weightkin.anatomy.graph.ir import Graph, Node


def relabelled(labels, weights, rng, *, only=None):
    """Every weight with all free atoms relabelled at random; with ``only``, that atom alone."""
    tables = {}
    for number, atom in labels.atoms.items():
        shape = tuple(labels.atoms[x].size for x in atom.within)
        moves = atom.is_free and (only is None or only == number)
        table = np.empty((*shape, atom.size), dtype=int)
        for at in np.ndindex(*shape):
            table[at] = _order(atom, rng) if moves else np.arange(atom.size)
        tables[number] = table
    return {name: _moved(w, labels, labels.dims[name], tables) for name, w in weights.items()
            if name in labels.dims}  # fmt: skip


def _order(atom, rng):
    cells = atom.cells or (atom.size,)
    starts = np.cumsum([0, *cells[:-1]])
    return np.concatenate([s + rng.permutation(n) for s, n in zip(starts, cells, strict=True)])


def _moved(weight, labels, dims, tables):
    out = np.empty_like(weight)
    for at in np.ndindex(*weight.shape):
        places = [_read(labels, dim, i) for dim, i in zip(dims, at, strict=True)]
        beside = [dict(found) for _, found in places]
        source = []
        for j, (tree, own) in enumerate(places):
            others = {k: v for i, d in enumerate(beside) if i != j for k, v in d.items()}
            source.append(_write(labels, tree, tables, {**others, **dict(own)}))
        out[at] = weight[tuple(source)]
    return out


def _size(labels, factor):
    if isinstance(factor, int):
        return labels.atoms[factor].size
    return sum(int(np.prod([_size(labels, f) for f in part])) for part in factor)


def _read(labels, dim, i):
    """The path of an index: (dim, part, [(factor, index or path)]), and the atoms on it."""
    k = 0
    while i >= (n := int(np.prod([_size(labels, f) for f in dim[k]]))):
        i -= n
        k += 1
    part = dim[k]
    path, found = [], []
    for factor in reversed(part):
        i, own = divmod(i, _size(labels, factor))
        if isinstance(factor, int):
            path.insert(0, (factor, own))
            found.append((factor, own))
        else:
            inner, more = _read(labels, factor, own)
            path.insert(0, (factor, inner))
            found += more
    return (dim, k, path), found


def _write(labels, tree, tables, indices):
    """The index that stands at a path after the relabelling."""
    dim, k, path = tree
    at = 0
    for factor, own in path:
        if isinstance(factor, int):
            key = tuple(indices[x] for x in labels.atoms[factor].within)
            new = tables[factor][(*key, own)]
        else:
            new = _write(labels, own, tables, indices)
        at = at * _size(labels, factor) + int(new)
    before = sum(int(np.prod([_size(labels, f) for f in part])) for part in dim[:k])
    return before + at


def run(graph, weights, inputs):
    """Values of the outputs of a graph; elementwise nodes carry their function as a fact."""
    values = {**weights, **inputs}
    for node in graph.nodes:
        if node.op == "tie":
            continue
        shape = graph.shapes[node.outputs[0]]
        values[node.outputs[0]] = _apply(node, [values[x] for x in node.inputs], shape)
    return [values[name] for name in graph.outputs]


def _apply(node, x, shape):
    facts = node.facts
    match node.op:
        case "elementwise" | "opaque" | "fix":
            return facts["fn"](*x)
        case "einsum":
            return np.einsum(",".join(facts["terms"]) + "->" + facts["out"], *x)
        case "convolution":
            return _convolution(x[0], x[1], facts.get("groups", 1))
        case "group_norm":
            rows = x[0].reshape(len(x[0]), facts["groups"], -1)
            rows = (rows - rows.mean(-1, keepdims=True)) / (rows.std(-1, keepdims=True) + 1e-5)
            return rows.reshape(x[0].shape)
        case "reshape":
            return x[0].reshape(shape)
        case "transpose":
            return x[0].transpose(facts["order"])
        case "expand":
            return np.broadcast_to(x[0], shape)
        case "repeat":
            return np.concatenate([x[0]] * facts["times"], facts["dim"])
        case "concat":
            return np.concatenate(x, facts["dim"])
        case "slice":
            cut = [slice(None)] * x[0].ndim
            cut[facts["dim"]] = slice(facts["start"], facts["stop"], facts["step"])
            return x[0][tuple(cut)]
        case "reduce":
            return x[0].sum(tuple(facts["dims"]), keepdims=facts.get("keep", False))
        case "gather":
            return np.take(x[0], x[1], facts["dim"])
    raise AssertionError(node.op)


def _convolution(x, w, groups):
    """Same size in and out, one dimension of space, zeros around."""
    n, _, length = x.shape
    size = w.shape[2]
    around = np.pad(x, ((0, 0), (0, 0), (size // 2, size // 2)))
    seen = np.stack([around[:, :, k : k + length] for k in range(size)], -1)
    seen = seen.reshape(n, groups, -1, length, size)
    kernel = w.reshape(groups, -1, w.shape[1], size)
    return np.einsum("ngilk,goik->ngol", seen, kernel).reshape(n, -1, length)


class Net:
    """Builds a graph and its values side by side."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.shapes, self.weights, self.inputs = [], {}, {}, {}
        self.constants = {}
        self.values = {}

    def weight(self, name, *shape):
        self.weights[name] = self.values[name] = self.rng.normal(size=shape)
        self.shapes[name] = shape
        return name

    def input(self, name, value):
        self.inputs[name] = self.values[name] = value
        self.shapes[name] = value.shape
        return name

    def constant(self, name, value):
        self.values[name], self.shapes[name] = value, value.shape
        self.constants[name] = tuple(
            bool((value == np.take(value, [0], d)).all()) for d in range(value.ndim)
        )
        return name

    def __call__(self, op, *inputs, shape=None, **facts):
        if op == "tie":
            self.nodes.append(Node(op, inputs, (), facts))
            return None
        out = f"v{len(self.nodes)}"
        self.nodes.append(Node(op, inputs, (out,), facts))
        self.values[out] = _apply(self.nodes[-1], [self.values[x] for x in inputs], shape)
        self.shapes[out] = self.values[out].shape
        return out

    def linear(self, x, name, n_in, n_out):
        rank = len(self.shapes[x])
        batch = "abcdef"[: rank - 1]
        w = self.weight(name, n_out, n_in)
        return self("einsum", x, w, terms=(f"{batch}i", "oi"), out=f"{batch}o")

    def act(self, *x, fn=np.tanh, **facts):
        return self("elementwise", *x, fn=fn, **facts)

    def softmax(self, x):
        def fn(v):
            e = np.exp(v - v.max(-1, keepdims=True))
            return e / e.sum(-1, keepdims=True)

        return self.act(x, fn=fn, along=(len(self.shapes[x]) - 1,))

    def graph(self, *outputs, free=()):
        return Graph(
            nodes=tuple(self.nodes),
            shapes=self.shapes,
            weights=frozenset(self.weights),
            inputs=tuple(self.inputs),
            outputs=outputs,
            constants=self.constants,
            free_outputs=frozenset(free),
        )
