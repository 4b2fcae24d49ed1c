/* What is known of a model or of a line, beside the drawing. */
(function () {
  "use strict";
  var MOST_CHILDREN = 20; /* that are named */

  function element(tag, text, className) {
    var made = document.createElement(tag);
    if (text !== undefined) { made.textContent = text; }
    if (className) { made.className = className; }
    return made;
  }

  window.weightkinPanel = function (panel, data, marks, changed, left) {
    function close() { panel.hidden = true; panel.replaceChildren(); marks.edges.clear(); changed(); }
    function facts(pairs) {
      var list = element("dl"), last = null;
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
      shut.addEventListener("click", function () { close(); left(); });
      panel.replaceChildren(shut, element("h3", title), facts(pairs));
      if (href) {
        var link = element("a", "All about this model");
        link.href = href;
        panel.append(link);
      }
      panel.hidden = false;
      changed();
    }
    function tie(said, isChild) {
      if (said.style === "undetermined") { return "Related to"; }
      if (said.style === "declared") { return isChild ? "Declares as parent" : "Declared as parent by"; }
      if (!said.proven) { return isChild ? "Placed below" : "Placed above"; }
      return isChild ? "Made from" : "Parent of";
    }
    function showNode(node) {
      var value = data.nodes[node], pairs = value.facts.slice(), n_children = 0;
      marks.edges.clear();
      data.edges.forEach(function (said, i) {
        if (said.s !== node && said.t !== node) { return; }
        var isChild = said.t === node;
        marks.edges.add(i);
        if (!isChild && (n_children += 1) > MOST_CHILDREN) { return; }
        pairs.push([tie(said, isChild), data.nodes[isChild ? said.s : said.t].name + ", " + said.label]);
        if (isChild) {
          said.facts.forEach(function (fact) { if (fact[0] !== "Kind") { pairs.push(fact); } });
        }
      });
      if (n_children > MOST_CHILDREN) { pairs.push(["More children", (n_children - MOST_CHILDREN).toLocaleString("en")]); }
      open(value.name, pairs, value.href);
    }
    function showEdge(i) {
      var value = data.edges[i], sign = value.style === "undetermined" ? " — " : " → ";
      marks.edges.clear();
      marks.edges.add(i);
      open(data.nodes[value.s].name + sign + data.nodes[value.t].name, value.facts);
    }
    return { node: showNode, edge: showEdge, close: close, isOpen: function () { return !panel.hidden; } };
  };
}());
