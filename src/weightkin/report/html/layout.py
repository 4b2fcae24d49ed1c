"""Where the nodes of a family stand: parents left of children, families packed side by side.

Every node hangs below its heaviest parent; a node stands one column right of the rightmost of its
parents. Subtrees are boxes laid one under the other, or in several columns where one would be too
long, so that a base with thousands of fine-tunes stays near the shape of a screen. Linear in nodes
and edges but for one sort.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ROW, COLUMN = 38, 320  # pixels from one node to the next
FAMILY_GAP = 48  # between families
MAX_SUBTREE_ROWS = 48  # a subtree longer than that is broken into columns
MOST_LAYERED = 600  # nodes up to which a merge stands right of all its parents, not of one
MOST_MERGES = 500  # that have a say in the order of siblings
ASPECT = 1.8  # width over height aimed at


@dataclass(frozen=True, slots=True)
class Link:
    """Two nodes by their places in a list; the heaviest link into a node carries it."""

    parent: int
    child: int
    weight: float = 1.0


@dataclass(slots=True)
class _Box:
    """A subtree: its size, and where its members stand in it."""

    width: float
    height: float
    children: list[tuple[int, float, float]] = field(default_factory=list)  # node, x, y of its box
    anchor: float = 0.0  # y of the node itself


def layout(n_nodes: int, links: Sequence[Link]) -> list[tuple[float, float]]:
    """Centres of all nodes, in pixels.

    Parameters
    ----------
    n_nodes : int
        Number of nodes.
    links : sequence of Link
        Those that close a directed circle are passed over.

    Returns
    -------
    list of (float, float)
        x and y, one for each node, in the order of the nodes; no two are the same.
    """
    closing = closing_links(n_nodes, links)
    links = [link for i, link in enumerate(links) if i not in closing]
    above = _carriers(links)
    hung = [Link(parent, child) for child, parent in above.items()]
    depth = _depths(n_nodes, links if n_nodes <= MOST_LAYERED else hung)
    below: list[list[int]] = [[] for _ in range(n_nodes)]
    for child, parent in above.items():
        below[parent].append(child)
    tops = [x for x in range(n_nodes) if x not in above]
    boxes = _boxes(below, depth, tops, _beside(links, above))
    families = _families(n_nodes, links, above)
    alone = [roots[0] for roots in families if len(roots) == 1 and not below[roots[0]]]
    families = [x for x in families if len(x) > 1 or below[x[0]]] + ([alone] if alone else [])
    stacked = [_stack([(root, boxes[root]) for root in roots]) for roots in families]
    order = sorted(range(len(stacked)), key=lambda i: (-stacked[i].height, i))
    spots = pack(
        [(stacked[i].width + FAMILY_GAP, stacked[i].height + FAMILY_GAP) for i in order], ASPECT
    )
    places = [(0.0, 0.0)] * n_nodes
    for i, (x, y) in zip(order, spots, strict=True):
        for root, dx, dy in stacked[i].children:
            _place(root, x + dx, y + dy, boxes, places)
    return places


def closing_links(n_nodes: int, links: Sequence[Link]) -> frozenset[int]:
    """Places of links that close a directed circle; without them there is none. Linear."""
    below: list[list[int]] = [[] for _ in range(n_nodes)]
    has_parent = [False] * n_nodes
    for i, link in enumerate(links):
        below[link.parent].append(i)
        has_parent[link.child] = True
    closing: set[int] = set()
    is_on_way, is_done = [False] * n_nodes, [False] * n_nodes
    for start in sorted(range(n_nodes), key=has_parent.__getitem__):  # roots first
        way = [] if is_done[start] else [start]
        while way:
            node = way[-1]
            is_on_way[node] = True
            if not below[node]:
                is_on_way[node], is_done[node] = False, True
                way.pop()
                continue
            at = below[node].pop()
            child = links[at].child
            if is_on_way[child]:
                closing.add(at)
            elif not is_done[child]:
                way.append(child)
    return frozenset(closing)


def pack(sizes: Sequence[tuple[float, float]], aspect: float) -> list[tuple[float, float]]:
    """Corners of boxes put below each other in columns, the whole near the wanted aspect."""
    area = sum(width * height for width, height in sizes)
    tallest = max((height for _, height in sizes), default=0.0)
    limit = max(tallest, math.sqrt(area / aspect))
    spots, x, y, widest = [], 0.0, 0.0, 0.0
    for width, height in sizes:
        if y > 0 and y + height > limit:
            x, y, widest = x + widest, 0.0, 0.0
        spots.append((x, y))
        y += height
        widest = max(widest, width)
    return spots


def _carriers(links: Sequence[Link]) -> dict[int, int]:
    """The parent that each node hangs from."""
    best: dict[int, Link] = {}
    for link in links:
        if link.child not in best or abs(link.weight) > abs(best[link.child].weight):
            best[link.child] = link
    return {child: link.parent for child, link in sorted(best.items())}


def _depths(n_nodes: int, links: Sequence[Link]) -> list[int]:
    """Longest way to each node from a root."""
    depth, n_above = [0] * n_nodes, [0] * n_nodes
    out: list[list[int]] = [[] for _ in range(n_nodes)]
    for link in links:
        out[link.parent].append(link.child)
        n_above[link.child] += 1
    ready = [x for x in range(n_nodes) if not n_above[x]]
    while ready:
        node = ready.pop()
        for child in out[node]:
            depth[child] = max(depth[child], depth[node] + 1)
            n_above[child] -= 1
            if not n_above[child]:
                ready.append(child)
    return depth


def _beside(links: Sequence[Link], above: Mapping[int, int]) -> dict[int, int]:
    """Siblings that want to stand together: the second parent of a merge beside the first."""
    wanted: dict[int, int] = {}
    for link in [x for x in links if above.get(x.child) != x.parent][:MOST_MERGES]:
        ways = [_way(x, above) for x in (link.parent, link.child)]
        siblings = [(x, y) for x, y in zip(*ways, strict=False) if x != y]
        if siblings:
            wanted[siblings[0][0]] = siblings[0][1]
    return wanted


def _way(node: int, above: Mapping[int, int]) -> list[int]:
    """From the root down to the node."""
    way = [node]
    while way[-1] in above and len(way) <= len(above):
        way.append(above[way[-1]])
    return way[::-1]


def _boxes(
    below: Sequence[Sequence[int]],
    depth: Sequence[int],
    roots: Sequence[int],
    beside: Mapping[int, int],
) -> list[_Box]:
    """Sizes of all subtrees, leaves first."""
    order, stack = [], list(roots)
    while stack:
        node = stack.pop()
        order.append(node)
        stack += below[node]
    boxes = [_Box(COLUMN, ROW, anchor=ROW / 2)] * len(below)
    for node in reversed(order):
        if not below[node]:
            continue
        heights = {x: boxes[x].height for x in below[node]}
        children = sorted(below[node], key=lambda x: _rank(x, heights, beside))
        boxes[node] = _around(
            [(child, boxes[child], COLUMN * (depth[child] - depth[node])) for child in children]
        )
    return boxes


def _rank(
    node: int, heights: Mapping[int, float], beside: Mapping[int, int]
) -> tuple[float, int, bool, float, int]:
    """Small subtrees above large ones, and above them what is merged into them."""
    near = beside.get(node, node)
    if heights.get(near, 0.0) <= heights[node]:
        near = node
    return heights[near], near, near == node, heights[node], node


def _around(children: Sequence[tuple[int, _Box, float]]) -> _Box:
    """The box of a node whose children's boxes begin so far to its right."""
    heights = [box.height for _, box, _ in children]
    if sum(heights) <= MAX_SUBTREE_ROWS * ROW:
        tops = [sum(heights[:i]) for i in range(len(heights))]
        spots = [(0.0, top) for top in tops]
    else:
        spots = pack([(shift - COLUMN + box.width, box.height) for _, box, shift in children], 1.5)
    placed = [
        (child, x + shift, y) for (child, _, shift), (x, y) in zip(children, spots, strict=True)
    ]
    width = max(x + box.width for (_, x, _), (_, box, _) in zip(placed, children, strict=True))
    bottoms = [y + box.height for (_, _, y), (_, box, _) in zip(placed, children, strict=True)]
    anchors = [y + box.anchor for (_, _, y), (_, box, _) in zip(placed, children, strict=True)]
    return _Box(width, max(bottoms), placed, (min(anchors) + max(anchors)) / 2)


def _families(n_nodes: int, links: Sequence[Link], above: Mapping[int, int]) -> list[list[int]]:
    """Roots of the carrying trees, those of one component together."""
    home = list(range(n_nodes))

    def find(x: int) -> int:
        while home[x] != x:
            home[x] = home[home[x]]
            x = home[x]
        return x

    for link in links:
        home[find(link.parent)] = find(link.child)
    groups: dict[int, list[int]] = {}
    for node in range(n_nodes):
        if node not in above:
            groups.setdefault(find(node), []).append(node)
    return list(groups.values())


def _stack(roots: Sequence[tuple[int, _Box]]) -> _Box:
    """Trees of one component, one under the other; very many go in columns."""
    sizes = [(box.width, box.height) for _, box in roots]
    many = sum(height for _, height in sizes) > 2 * MAX_SUBTREE_ROWS * ROW
    spots = pack(sizes, ASPECT if many else 1e-9)
    placed = [(root, x, y) for (root, _), (x, y) in zip(roots, spots, strict=True)]
    width = max(x + size[0] for (x, _), size in zip(spots, sizes, strict=True))
    height = max(y + size[1] for (_, y), size in zip(spots, sizes, strict=True))
    return _Box(width, height, placed)


def _place(
    root: int, x: float, y: float, boxes: Sequence[_Box], places: list[tuple[float, float]]
) -> None:
    """Write the centres of a tree whose box begins here."""
    stack = [(root, x, y)]
    while stack:
        node, left, top = stack.pop()
        box = boxes[node]
        places[node] = (left + COLUMN / 2, top + box.anchor)
        stack += [(child, left + dx, top + dy) for child, dx, dy in box.children]
