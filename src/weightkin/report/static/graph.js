/* Every .graph of a page: a family that one looks around in, folds, searches and saves. */
(function () {
  "use strict";
  var LEAST = 0.02, MOST = 2.5, FITTED = 0.12; /* zoom; the last is the least that Fit goes down to */
  var BESIDE = 800, PANEL = 370; /* a stage as wide as that has the panel on its right */
  var draw = window.weightkinDraw;

  function counted(n, word) { return n.toLocaleString("en") + " " + word + (n === 1 ? "" : "s"); }

  function looks(stage) {
    var style = getComputedStyle(stage), groups = {};
    function of(name) { return style.getPropertyValue("--" + name).trim(); }
    ["tuned", "converted", "merged", "copy", "rewritten", "other"].forEach(function (x) {
      groups[x] = of("kind-" + x);
    });
    return { text: of("text"), muted: of("muted"), edge: of("edge"), box: of("box"), line: of("box-line"),
      accent: of("accent"), page: of("page"), groups: groups, family: style.fontFamily,
      dashes: { inferred: [], undetermined: [6, 4], declared: [2, 3] } };
  }

  function start(frame) {
    var data = JSON.parse(frame.querySelector(".graph-data").textContent);
    var stage = frame.querySelector(".stage"), panel = null;
    var count = frame.querySelector(".count"), find = frame.querySelector(".find");
    var kind = frame.querySelector(".kind"), sure = frame.querySelector(".sure");
    var families = frame.querySelector(".families");
    var tree = window.weightkinTree(data), canvas = document.createElement("canvas");
    var ctx = canvas.getContext("2d"), look = null, isWaiting = false, family = 0, n = 0;
    var view = { x: 0, y: 0, k: 1 };
    var names = data.nodes.map(function (x) {
      return [x.name].concat(x.also || []).join("\n").toLowerCase();
    });
    var kept = null, kin = null; /* edges and models that the filter keeps; null: all of them */
    var marks = { chosen: -1, found: new Set(), edges: new Set(),
      isFaintEdge: function (i) { return kept !== null && i >= 0 && !kept[i]; },
      isFaint: function (i) { return kept !== null && !kin[i]; } };
    var drawn = { tree: tree, items: [], nodes: data.nodes, edges: data.edges, glyphs: data.glyphs,
      box: data.box, further: [], pinned: [], merged: new Set() };
    data.edges.forEach(function (edge, i) {
      if (!edge.main) { drawn.further.push(i); drawn.merged.add(edge.t); }
    });
    if (!tree.families.length) { return; }
    frame.hidden = false;
    document.documentElement.classList.add("graph-shown");
    stage.append(canvas);

    panel = window.weightkinPanel(frame.querySelector(".panel"), data, marks, changed, function () {
      marks.chosen = -1;
      stage.focus();
    });

    function width() { return stage.clientWidth; }
    function height() { return stage.clientHeight; }
    function changed() {
      if (isWaiting) { return; }
      isWaiting = true;
      requestAnimationFrame(function () { isWaiting = false; paint(); });
    }
    function paint() {
      var dots = Math.min(2, window.devicePixelRatio || 1);
      var w = Math.round(width() * dots), h = Math.round(height() * dots);
      if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
      ctx.setTransform(dots, 0, 0, dots, 0, 0);
      ctx.clearRect(0, 0, width(), height());
      draw.paint(ctx, drawn, look, marks, view, width(), height());
      n += 1;
    }
    function repaint() { look = looks(stage); changed(); }
    function extent() {
      return drawn.items.reduce(function (all, item) {
        return { w: Math.max(all.w, item.x + drawn.box + (drawn.isStacked ? 24 : 30)), h: Math.max(all.h, item.y + draw.high) };
      }, { w: 0, h: 0 });
    }
    function fit(least) {
      var all = extent(), k = Math.min(1, (width() - 2 * drawn.margin) / all.w, (height() - 2 * drawn.top) / all.h);
      view.k = Math.max(k, least);
      view.x = Math.max(drawn.margin, (width() - all.w * view.k) / 2);
      view.y = Math.max(drawn.top, (height() - all.h * view.k) / 2);
      changed();
    }
    /* lay out again; what stood under the eye stays where it was */
    function arrange(still) {
      var before = still >= 0 && tree.spot[still] >= 0 ? drawn.items[tree.spot[still]] : null;
      drawn.items = tree.layout(family, drawn.column, drawn.isStacked);
      if (before) {
        view.x += (before.x - drawn.items[tree.spot[still]].x) * view.k;
        view.y += (before.y - drawn.items[tree.spot[still]].y) * view.k;
      }
      changed();
    }
    function choose(next) {
      family = next;
      Object.assign(drawn, draw.shape(data, width(), tree.depth(family)));
      if (families) { families.value = String(next); }
      tree.begin(family);
      arrange(-1);
      frame.classList.toggle("wide", extent().w > 1000);
      stage.style.height = Math.ceil(Math.min(extent().h + 2 * drawn.top + 16, 3000)) + "px";
      fit(drawn.isStacked ? 1 : draw.readable);
    }

    /* what the keyboard is at, for those who hear it */
    function say(node) {
      var edge = tree.above[node], below = tree.size[node] - 1;
      var words = [data.nodes[node].name];
      if (edge >= 0) { words.push(data.edges[edge].label + " from " + data.nodes[data.edges[edge].s].name); }
      if (below) { words.push(below.toLocaleString("en") + " below" + (tree.isOpen[node] ? "" : ", folded")); }
      count.textContent = words.join(", ");
    }
    function centre(node) {
      var item = drawn.items[tree.spot[node]];
      view.k = Math.max(view.k, draw.readable);
      view.x = drawn.isStacked ? Math.min(drawn.margin, width() - 24 - (item.x + drawn.box) * view.k)
        : (width() > BESIDE ? width() - PANEL : width()) / 2 - (item.x + drawn.box / 2) * view.k;
      view.y = height() / 2 - item.y * view.k;
      changed();
    }
    function goTo(node) {
      if (tree.home[node] < 0) { marks.chosen = -1; panel.node(node); return; }
      if (tree.home[node] !== family) { choose(tree.home[node]); }
      tree.reveal(node);
      arrange(-1);
      marks.chosen = node;
      centre(node);
      panel.node(node);
    }
    /* a move of the keyboard: keep the model in view, say its name */
    function stepTo(node) {
      var item = drawn.items[tree.spot[node]], x = item.x * view.k + view.x, y = item.y * view.k + view.y;
      marks.chosen = node;
      if (x < 0 || y < 30 || x + drawn.box * view.k > width() - 20 || y > height() - 30) { centre(node); }
      say(node);
      if (panel.isOpen()) { panel.close(); }
      changed();
    }
    function fold(node) { tree.toggle(node); arrange(node); }

    function at(x, y) {
      var wx = (x - view.x) / view.k, wy = (y - view.y) / view.k;
      return drawn.pinned.concat(drawn.items).find(function (item) {
        return Math.abs(item.y - wy) < draw.high / 2 + 4 && wx > item.x - (drawn.isStacked ? 16 : drawn.column - drawn.box - 20)
          && wx < item.x + drawn.box + (isFolded(item) ? 40 : 9);
      });
    }
    function isFolded(item) { return !item.more && tree.below[item.at].length > 0 && !tree.isOpen[item.at]; }
    function tap(x, y) {
      var item = at(x, y), wx = (x - view.x) / view.k;
      if (!item) { marks.chosen = -1; panel.close(); }
      else if (item.isPinned) { stepTo(item.at); panel.node(item.at); }
      else if (item.more) { tree.more(item.at); arrange(item.at); }
      else if (wx < item.x) { if (tree.above[item.at] >= 0) { panel.edge(tree.above[item.at]); } }
      else if (wx > item.x + drawn.box - 9 && tree.below[item.at].length) { fold(item.at); }
      else { marks.chosen = item.at; panel.node(item.at); }
    }
    function zoomBy(factor, x, y) {
      var k = Math.min(MOST, Math.max(LEAST, view.k * factor));
      x = x === undefined ? width() / 2 : x;
      y = y === undefined ? height() / 2 : y;
      view.x = x - (x - view.x) * k / view.k;
      view.y = y - (y - view.y) * k / view.k;
      view.k = k;
      changed();
    }

    window.weightkinHands(canvas, stage, view, { zoomBy: zoomBy, changed: changed, tap: tap });

    function beside(node, by) {
      var i = tree.spot[node];
      do { i += by; } while (drawn.items[i] && drawn.items[i].more);
      return drawn.items[i] ? drawn.items[i].at : node;
    }
    var KEYS = {
      ArrowUp: function (x) { stepTo(beside(x, -1)); },
      ArrowDown: function (x) { stepTo(beside(x, 1)); },
      ArrowLeft: function (x) {
        if (tree.below[x].length && tree.isOpen[x]) { fold(x); stepTo(x); }
        else if (tree.parent(x) >= 0) { stepTo(tree.parent(x)); }
      },
      ArrowRight: function (x) {
        if (!tree.below[x].length) { return; }
        if (tree.isOpen[x]) { stepTo(tree.below[x][0]); } else { fold(x); stepTo(x); }
      },
      Enter: function (x) { panel.node(x); },
      " ": function (x) { if (tree.below[x].length) { fold(x); stepTo(x); } },
      Escape: function () { marks.chosen = -1; panel.close(); },
      Home: function () { stepTo(tree.families[family].roots[0]); },
      "+": function () { zoomBy(1.25); },
      "=": function () { zoomBy(1.25); },
      "-": function () { zoomBy(0.8); },
      "0": function () { fit(FITTED); }
    };
    stage.addEventListener("keydown", function (event) {
      if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) { return; }
      var from = marks.chosen >= 0 && tree.spot[marks.chosen] >= 0 ? marks.chosen : -1;
      event.preventDefault();
      if (from < 0 && /^(Arrow|Enter| )/.test(event.key)) { KEYS.Home(); } else { KEYS[event.key](from); }
    });
    function press(name, what) {
      frame.querySelectorAll("." + name).forEach(function (x) { x.addEventListener("click", what); });
    }
    press("in", function () { zoomBy(1.25); });
    press("out", function () { zoomBy(0.8); });
    press("fit", function () { fit(FITTED); });
    press("unfold", function () { tree.openAll(true); arrange(tree.families[family].roots[0]); });
    press("begin", function () { choose(family); });
    press("outlined", function () {
      var isOn = frame.classList.toggle("as-outline");
      document.documentElement.classList.toggle("outline-shown", isOn);
      frame.querySelector(".outlined").setAttribute("aria-pressed", String(isOn));
      changed();
    });

    function filter() {
      var least = Number(sure.value), n_kept = 0;
      kept = kin = null;
      if (kind.value || least) {
        kept = data.edges.map(function (edge) {
          var isSure = !least || (edge.style === "inferred" && edge.p >= least);
          return isSure && (!kind.value || edge.kind === kind.value);
        });
        kin = new Uint8Array(data.nodes.length);
        data.edges.forEach(function (edge, i) {
          if (kept[i]) { kin[edge.s] = kin[edge.t] = 1; n_kept += 1; }
        });
        tree.order.slice().reverse().forEach(function (node) { /* a folded branch stands for its models */
          var over = tree.parent(node);
          if (kin[node] && over >= 0 && tree.spot[node] < 0) { kin[over] = 1; }
        });
      }
      count.textContent = kept ? n_kept + " of " + counted(data.edges.length, "edge") : "";
      changed();
    }
    var nth = 0;
    function search() {
      var wanted = find.value.trim().toLowerCase(), found = [];
      nth = 0;
      if (wanted) { names.forEach(function (name, i) { if (name.indexOf(wanted) >= 0) { found.push(i); } }); }
      marks.found = new Set(found);
      count.textContent = wanted ? counted(found.length, "model") : "";
      changed();
      return found;
    }
    kind.addEventListener("change", filter);
    sure.addEventListener("change", filter);
    find.addEventListener("input", search);
    function next() {
      var at = nth, found = search();
      if (!found.length) { return false; }
      goTo(found[at % found.length]);
      nth = at + 1;
      count.textContent = found.length > 1 ? at % found.length + 1 + " of " + counted(found.length, "model")
        : "1 model";
      return true;
    }
    find.addEventListener("keydown", function (event) {
      if (event.key !== "Enter") { return; }
      if (next() || !find.form) { event.preventDefault(); } /* else the server looks in other families */
    });
    if (families) {
      families.addEventListener("change", function () { panel.close(); choose(Number(families.value)); });
    }
    document.querySelectorAll("a[data-node]").forEach(function (link) {
      link.addEventListener("click", function () { goTo(Number(link.getAttribute("data-node"))); });
    });

    function picture() {
      var all = extent();
      return { w: all.w + 2 * drawn.margin, h: all.h + 2 * drawn.top, onto: function (pen) {
        draw.paint(pen, drawn, look, marks, { x: drawn.margin, y: drawn.top, k: 1 }, this.w, this.h);
        return pen;
      } };
    }
    press("as-svg", function () { window.weightkinSave.svg(picture(), look, stage.dataset.name); });
    press("as-png", function () { window.weightkinSave.png(picture(), look); });

    document.addEventListener("weightkin-theme", repaint);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    new ResizeObserver(function () {
      var now = draw.shape(data, width(), tree.depth(family));
      if (now.box !== drawn.box || now.isStacked !== drawn.isStacked) { choose(family); } else { changed(); }
    }).observe(stage);
    look = looks(stage);
    choose(0);
    var asked = frame.closest("[data-find]");
    if (asked && asked.dataset.find) {
      find.value = asked.dataset.find;
      next();
    }
    /* for those who look from outside */
    frame.family = { tree: tree, data: data, view: view, marks: marks, items: function () { return drawn.items; },
      box: function () { return drawn.box; },
      routes: function () { return draw.routes(drawn); }, painted: function () { return n; }, goTo: goTo, unfold: function () { tree.openAll(true); arrange(-1); } };
    frame.setAttribute("data-ready", "");
  }

  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll(".graph").forEach(start);
  });
}());
