/* Draws every .graph of a page with cytoscape, from the places that were computed before. */
(function () {
  "use strict";
  var FAR = 0.12; /* zoom under which a large graph is drawn as strokes */
  var LARGE = 1200; /* nodes and edges from which drawing gives up labels and curves while moving */

  function colours(stage) {
    var style = getComputedStyle(stage);
    function of(name) { return style.getPropertyValue("--" + name).trim(); }
    return { text: of("text"), muted: of("muted"), line: of("edge"), box: of("box"), edge: of("box-line"),
      accent: of("accent"), page: of("page") };
  }

  /* a large graph from afar: nodes as strokes, edges as wide as a hair on the screen */
  function afar(c, zoom) {
    return [
      { selector: "node", style: { "background-color": c.text, "border-width": 0, height: 30, label: "" } },
      { selector: "edge", style: { width: 0.7 / zoom, opacity: 0.35, "line-style": "solid" } },
      { selector: ".faint", style: { opacity: 0.06 } },
      { selector: "node:selected, node.found", style: { "background-color": c.accent, width: 12 / zoom,
        height: 12 / zoom } },
      { selector: "edge:selected, edge.near", style: { width: 2 / zoom, opacity: 1 } }
    ];
  }

  function looks(stage, isLarge, box, offset) {
    var c = colours(stage);
    var font = getComputedStyle(stage).fontFamily;
    return [
      { selector: "node", style: { shape: "round-rectangle", "corner-radius": 5, width: box, height: 26,
        "background-color": c.box, "border-width": 1, "border-color": c.edge, label: "data(label)",
        color: c.text, "font-size": 12.5, "font-family": font, "text-valign": "center",
        "text-halign": "center", "min-zoomed-font-size": 5 } },
      { selector: "node[?unobserved]", style: { "border-style": "dashed", "border-width": 1.5,
        "background-opacity": 0, color: c.muted } },
      { selector: "edge", style: { width: 1.3, "line-color": c.line, "curve-style": isLarge ? "haystack" : "straight", "haystack-radius": 0 } },
      { selector: "edge[?main]", style: isLarge ? {} : { "curve-style": "round-taxi",
        "taxi-direction": "rightward", "taxi-turn": 14, "taxi-radius": 6, "source-endpoint": "90deg",
        "target-endpoint": "270deg" } },
      { selector: "edge[!main]", style: isLarge ? {} : { "curve-style": "unbundled-bezier",
        "control-point-distances": [0], "control-point-weights": [0.5], "source-endpoint": "90deg",
        "target-endpoint": "270deg" } },
      { selector: "edge[?main]", style: isLarge ? {} : { "target-label": "data(label)",
        "target-text-offset": offset, "target-text-margin-y": -8, "font-size": 10, color: c.muted,
        "font-family": font, "min-zoomed-font-size": 6 } },
      { selector: "edge[style = 'inferred'], edge[style = 'declared']", style: {
        "target-arrow-shape": "triangle", "target-arrow-color": c.line, "arrow-scale": 0.8 } },
      { selector: "edge[style = 'undetermined']", style: { "line-style": "dashed",
        "line-dash-pattern": [6, 4] } },
      { selector: "edge[style = 'declared']", style: { "line-style": "dotted", width: 2,
        "target-arrow-shape": "vee" } },
      { selector: ".faint", style: { opacity: 0.12, events: "no" } },
      { selector: "node:selected, node.found", style: { "border-color": c.accent, "border-width": 2.5 } },
      { selector: "edge:selected, edge.near", style: { "line-color": c.accent, width: 2.5,
        "target-arrow-color": c.accent } },
      { selector: "core", style: { "active-bg-opacity": 0, "selection-box-opacity": 0 } }
    ];
  }

  function elements(data) {
    var nodes = data.nodes.map(function (node, i) {
      return { group: "nodes", data: { id: "n" + i, at: i, label: node.label, unobserved: !!node.unobserved },
        position: { x: node.x, y: node.y } };
    });
    var edges = data.edges.map(function (edge, i) {
      return { group: "edges", data: { id: "e" + i, at: i, source: "n" + edge.s, target: "n" + edge.t,
        label: edge.label, kind: edge.kind, style: edge.style, p: edge.p, main: edge.main } };
    });
    return nodes.concat(edges);
  }

  function element(tag, text, className) {
    var made = document.createElement(tag);
    if (text !== undefined) { made.textContent = text; }
    if (className) { made.className = className; }
    return made;
  }

  function start(frame) {
    var data = JSON.parse(frame.querySelector(".graph-data").textContent);
    var stage = frame.querySelector(".stage");
    var panel = frame.querySelector(".panel");
    /* as high as the drawing needs at full width, within what the style sheet allows */
    var xs = data.nodes.map(function (node) { return node.x; });
    var ys = data.nodes.map(function (node) { return node.y; });
    function span(values) {
      return values.reduce(function (a, b) { return Math.max(a, b); }, -Infinity)
        - values.reduce(function (a, b) { return Math.min(a, b); }, Infinity);
    }
    frame.hidden = false;
    var scale = Math.min(1, (stage.clientWidth - 56) / (span(xs) + data.box));
    stage.style.height = Math.ceil((span(ys) + 26) * scale + 110) + "px";
    var isLarge = data.nodes.length + data.edges.length > LARGE;
    document.documentElement.classList.add("graph-shown");
    var cy = window.cytoscape({
      container: stage, elements: elements(data), layout: { name: "preset" },
      style: looks(stage, isLarge, data.box, data.offset), minZoom: 0.01, maxZoom: 3, autoungrabify: true,
      boxSelectionEnabled: false, selectionType: "single", userZoomingEnabled: false,
      hideEdgesOnViewport: isLarge, textureOnViewport: isLarge, hideLabelsOnViewport: isLarge,
      pixelRatio: isLarge ? 1 : "auto"
    });
    frame.cy = cy; /* for those who look from outside */
    cy.nodes().panify(); /* a drag that begins on a model moves the drawing too */

    function fit() {
      cy.fit(cy.elements(), 28);
      if (cy.zoom() > 1) { cy.zoom(1); cy.center(); }
    }
    function close() { panel.hidden = true; panel.replaceChildren(); cy.elements().removeClass("near"); }
    function facts(pairs) {
      var list = element("dl");
      var last = null;
      pairs.forEach(function (pair) {
        if (pair[0] !== last) { list.append(element("dt", pair[0])); }
        last = pair[0];
        list.append(element("dd", pair[1]));
      });
      return list;
    }
    function open(title, pairs, href) {
      var shut = element("button", "Close", "close");
      shut.type = "button";
      shut.addEventListener("click", function () { cy.elements().unselect(); close(); stage.focus(); });
      panel.replaceChildren(shut, element("h3", title), facts(pairs));
      if (href) {
        var link = element("a", "All about this model");
        link.href = href;
        panel.append(link);
      }
      panel.hidden = false;
    }
    function tie(said, isChild) {
      if (said.style === "undetermined") { return "Related to"; }
      if (said.style === "declared") { return isChild ? "Declares as parent" : "Declared as parent by"; }
      if (!said.proven) { return isChild ? "Placed below" : "Placed above"; }
      return isChild ? "Made from" : "Parent of";
    }
    function showNode(node) {
      var value = data.nodes[node.data("at")];
      var near = node.connectedEdges();
      cy.elements().removeClass("near");
      near.addClass("near");
      var pairs = value.facts.slice();
      near.forEach(function (edge) {
        var said = data.edges[edge.data("at")];
        var isChild = edge.target().id() === node.id();
        var other = data.nodes[isChild ? said.s : said.t].name;
        pairs.push([tie(said, isChild), other + ", " + said.label]);
        if (isChild) {
          said.facts.forEach(function (fact) { if (fact[0] !== "Kind") { pairs.push(fact); } });
        }
      });
      open(value.name, pairs, value.href);
    }
    function showEdge(edge) {
      var value = data.edges[edge.data("at")];
      var sign = value.style === "undetermined" ? " — " : " → ";
      cy.elements().removeClass("near");
      open(data.nodes[value.s].name + sign + data.nodes[value.t].name, value.facts);
    }
    function goTo(node) {
      cy.elements().unselect();
      node.select();
      cy.zoom(Math.max(cy.zoom(), 0.9));
      cy.center(node);
      showNode(node);
    }
    cy.on("tap", "node", function (event) { showNode(event.target); });
    cy.on("tap", "edge", function (event) { showEdge(event.target); });
    cy.on("tap", function (event) { if (event.target === cy) { close(); } });

    /* the wheel scrolls the page until the drawing was touched */
    stage.addEventListener("pointerdown", function () { stage.focus({ preventScroll: true }); });
    stage.addEventListener("focus", function () { cy.userZoomingEnabled(true); });
    stage.addEventListener("blur", function () { cy.userZoomingEnabled(false); });
    function zoomBy(factor) {
      cy.zoom({ level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
    }
    stage.addEventListener("keydown", function (event) {
      var moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
      if (moves[event.key]) { cy.panBy({ x: moves[event.key][0], y: moves[event.key][1] }); }
      else if (event.key === "+" || event.key === "=") { zoomBy(1.25); }
      else if (event.key === "-") { zoomBy(0.8); }
      else if (event.key === "0") { fit(); }
      else if (event.key === "Escape") { cy.elements().unselect(); close(); }
      else { return; }
      event.preventDefault();
    });
    frame.querySelector(".in").addEventListener("click", function () { zoomBy(1.25); });
    frame.querySelector(".out").addEventListener("click", function () { zoomBy(0.8); });
    frame.querySelector(".fit").addEventListener("click", fit);

    var kind = frame.querySelector(".kind");
    var sure = frame.querySelector(".sure");
    var find = frame.querySelector(".find");
    var count = frame.querySelector(".count");
    function filter() {
      var least = Number(sure.value);
      var isOpen = !kind.value && !least;
      cy.batch(function () {
        cy.elements().removeClass("faint");
        if (isOpen) { return; }
        var kept = cy.edges().filter(function (edge) {
          var isSure = !least || (edge.data("style") === "inferred" && edge.data("p") >= least);
          return isSure && (!kind.value || edge.data("kind") === kind.value);
        });
        cy.elements().not(kept.union(kept.connectedNodes())).addClass("faint");
        count.textContent = kept.length + " of " + data.edges.length + " edges";
      });
      if (isOpen) { count.textContent = ""; }
    }
    function search() {
      var wanted = find.value.trim().toLowerCase();
      cy.nodes().removeClass("found");
      if (!wanted) { count.textContent = ""; return null; }
      var found = cy.nodes().filter(function (node) {
        var value = data.nodes[node.data("at")];
        return [value.name].concat(value.also || []).some(function (name) {
          return name.toLowerCase().indexOf(wanted) >= 0;
        });
      });
      found.addClass("found");
      count.textContent = found.length + (found.length === 1 ? " model" : " models");
      return found;
    }
    kind.addEventListener("change", filter);
    sure.addEventListener("change", filter);
    find.addEventListener("input", search);
    find.addEventListener("keydown", function (event) {
      if (event.key !== "Enter") { return; }
      event.preventDefault();
      var found = search();
      if (found && found.length) { goTo(found[0]); }
    });
    document.querySelectorAll("a[data-node]").forEach(function (link) {
      link.addEventListener("click", function () {
        var node = cy.getElementById("n" + link.getAttribute("data-node"));
        if (node.nonempty()) { goTo(node); }
      });
    });
    var isFar = false;
    function repaint() {
      var rules = looks(stage, isLarge, data.box, data.offset);
      cy.style(isFar ? rules.concat(afar(colours(stage), cy.zoom())) : rules);
    }
    function look() {
      var was = isFar;
      isFar = isLarge && cy.zoom() < FAR;
      if (was !== isFar) { repaint(); }
    }
    cy.on("zoom", look);
    document.addEventListener("weightkin-theme", repaint);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    fit();
    frame.setAttribute("data-ready", "");
  }

  document.addEventListener("DOMContentLoaded", function () {
    if (window.cytoscape) { document.querySelectorAll(".graph").forEach(start); }
  });
}());
