/* Which models of a family are shown, and where: branches fold, long rows of siblings are cut. */
(function () {
  "use strict";
  var ROW = 38; /* pixels from one row to the next; a box is lower, and merges pass between rows */
  var FIRST = 12, STEP = 50; /* siblings that are shown at first, and by each further click */
  var ROWS = 60; /* rows that a family opens with */

  /* data: nodes and edges as the page has them; an edge with "main" is the one its child hangs from */
  window.weightkinTree = function (data) {
    var n = data.nodes.length;
    var above = new Int32Array(n).fill(-1), size = new Int32Array(n).fill(1);
    var home = new Int32Array(n).fill(-1);
    var isOpen = new Uint8Array(n), isCalled = new Uint8Array(n), shown = new Int32Array(n).fill(FIRST);
    var below = data.nodes.map(function () { return []; });
    var roots = [], order = [];
    var tree = { row: ROW, spot: new Int32Array(n).fill(-1), families: [] };
    data.edges.forEach(function (edge, i) {
      if (edge.main) { above[edge.t] = i; below[edge.s].push(edge.t); }
    });
    function parent(node) { return above[node] < 0 ? -1 : data.edges[above[node]].s; }
    data.nodes.forEach(function (_, i) { if (above[i] < 0) { roots.push(i); } });
    for (var stack = roots.slice(); stack.length;) {
      var node = stack.pop();
      order.push(node);
      below[node].forEach(function (child) { stack.push(child); });
    }
    order.slice().reverse().forEach(function (node) {
      if (above[node] >= 0) { size[parent(node)] += size[node]; }
    });
    function byWeight(a, b) { return size[b] - size[a] || a - b; }
    below.forEach(function (children) { children.sort(byWeight); });
    join();

    /* families: what any edge holds together, the largest first; a model alone is none */
    function join() {
      var near = data.nodes.map(function () { return []; });
      data.edges.forEach(function (edge) { near[edge.s].push(edge.t); near[edge.t].push(edge.s); });
      var found = [];
      for (var i = 0; i < n; i += 1) {
        if (home[i] >= 0) { continue; }
        home[i] = found.length;
        var members = [i];
        for (var k = 0; k < members.length; k += 1) {
          near[members[k]].forEach(function (x) {
            if (home[x] < 0) { home[x] = found.length; members.push(x); }
          });
        }
        found.push(members);
      }
      found = found.filter(function (x) { return x.length > 1; })
        .sort(function (a, b) { return b.length - a.length; });
      home.fill(-1);
      found.forEach(function (members, i) { members.forEach(function (x) { home[x] = i; }); });
      tree.families = found.map(function (members) {
        var tops = members.filter(function (x) { return above[x] < 0; }).sort(byWeight);
        return { n: members.length, roots: tops };
      });
    }

    function visible(node) {
      if (!isOpen[node]) { return []; }
      return below[node].filter(function (child, i) { return i < shown[node] || isCalled[child]; });
    }
    /* open the largest branches first, until a screen or two are full */
    function begin(family) {
      isOpen.fill(0); isCalled.fill(0); shown.fill(FIRST);
      var waiting = tree.families[family].roots.slice(), rows = waiting.length;
      while (waiting.length && rows < ROWS) {
        var best = waiting.reduce(function (a, b) { return size[b] > size[a] ? b : a; });
        waiting.splice(waiting.indexOf(best), 1);
        if (!below[best].length) { break; }
        isOpen[best] = 1;
        rows += Math.min(below[best].length, FIRST);
        waiting = waiting.concat(below[best].slice(0, FIRST));
      }
    }
    /* generations below the roots of a family */
    function depth(family) {
      var level = new Int32Array(n), most = 0;
      order.forEach(function (node) {
        level[node] = above[node] < 0 ? 0 : level[parent(node)] + 1;
        if (home[node] === family) { most = Math.max(most, level[node]); }
      });
      return most;
    }
    /* in reading order; a first child stands in the row of its parent, so that no row has two lines;
       stacked, each model has a row of its own, as files have in a list of folders */
    function layout(family, column, isStacked) {
      var items = [], row = -1;
      var stack = tree.families[family].roots.slice().reverse().map(function (x, i, all) {
        return { at: x, gap: i === all.length - 1 ? 1 : 2, level: 0 };
      });
      tree.spot = new Int32Array(n).fill(-1);
      while (stack.length) {
        var next = stack.pop();
        row += next.gap;
        var item = { at: next.at, x: next.level * column, y: row * ROW, more: next.more || 0,
          parent: next.parent === undefined ? -1 : next.parent, last: row * ROW };
        if (!item.more) { tree.spot[item.at] = items.length; }
        items.push(item);
        if (item.parent >= 0) {
          var over = items[tree.spot[item.parent]];
          over.last = Math.max(over.last, item.y);
        }
        if (item.more) { continue; }
        var children = visible(next.at), left = isOpen[next.at] ? below[next.at].length - children.length : 0;
        var listed = children.map(function (x) { return { at: x }; });
        if (left) { listed.push({ at: next.at, more: left }); }
        for (var i = listed.length - 1; i >= 0; i -= 1) {
          stack.push({ at: listed[i].at, more: listed[i].more, gap: i || isStacked ? 1 : 0, level: next.level + 1,
            parent: next.at });
        }
      }
      return items;
    }
    function toggle(node) { isOpen[node] = isOpen[node] ? 0 : 1; }
    function more(node) { shown[node] += STEP; }
    function openAll(isWanted) {
      isOpen.fill(isWanted ? 1 : 0);
      shown.fill(isWanted ? n : FIRST);
      isCalled.fill(0);
    }
    /* unfold whatever hides a model */
    function reveal(node) {
      for (var x = node; above[x] >= 0; x = parent(x)) { isCalled[x] = 1; isOpen[parent(x)] = 1; }
    }
    /* the model itself, or the folded one that stands for it */
    function standing(node) {
      for (var x = node; x >= 0; x = parent(x)) { if (tree.spot[x] >= 0) { return x; } }
      return -1;
    }
    Object.assign(tree, { above: above, below: below, size: size, home: home, isOpen: isOpen, order: order,
      parent: parent, begin: begin, layout: layout, depth: depth, toggle: toggle, more: more, openAll: openAll,
      reveal: reveal, standing: standing });
    return tree;
  };
}());
