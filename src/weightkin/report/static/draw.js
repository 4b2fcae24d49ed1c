/* Draws what a tree shows: with the same strokes on a canvas and into an SVG file. */
(function () {
  "use strict";
  var HIGH = 26, LANE = 19, BEND = 14, TURN = 6, MERGE = 24; /* of a box; of lanes above a row and beside a box */
  var READABLE = 0.85; /* zoom from which labels are drawn in their boxes */
  var SMALL = 11; /* pixels of a label that is drawn from afar */
  var MOST_LABELS = 300;
  var FAINT = 0.18;
  var NARROW = 560, INDENT = 24, DOWN = 12, SIDE = 10, LEAST_BOX = 170; /* of a stage where boxes are stacked */

  /* how wide boxes and columns are: on a narrow stage, children stand below their parent, indented */
  function shape(data, width, depth) {
    if (width > NARROW) { return { column: data.column, box: data.box, isStacked: false, margin: 34, top: 34 }; }
    var box = Math.max(LEAST_BOX, width - 2 * SIDE - MERGE - depth * INDENT);
    return { column: INDENT, box: Math.min(box, Math.max(data.box + 90, LEAST_BOX)), isStacked: true, margin: SIDE,
      top: SIDE + HIGH / 2 };
  }

  /* drawn: tree, items, column, box; look: colours and font; marks: what is chosen, found, faint */
  function paint(ctx, drawn, look, marks, view, width, height) {
    var k = view.k, box = drawn.box, isStacked = drawn.isStacked, isNear = k >= READABLE;
    var left = -view.x / k, top = -view.y / k, right = left + width / k, bottom = top + height / k;
    ctx.save();
    ctx.translate(view.x, view.y);
    ctx.scale(k, k);
    var kinds = [];
    lines();
    merges();
    kinds.forEach(labelled);
    var seen = drawn.items.filter(function (item) {
      return item.y + HIGH > top && item.y - HIGH < bottom && item.x + box + 60 > left && item.x < right;
    });
    seen.forEach(isNear ? whole : bar);
    drawn.pinned = isNear ? pinned() : [];
    drawn.pinned.forEach(whole);
    ctx.restore();
    if (!isNear) { labels(); }

    function alpha(isFaint) { ctx.globalAlpha = isFaint ? FAINT : 1; }

    /* parents that are out of sight above their children: their boxes stay at the upper edge */
    function pinned() {
      return drawn.items.filter(function (item) {
        return item.y < top && item.last > top + 2 * HIGH && item.x + box > left && item.x < right;
      }).map(function (item) { return Object.assign({}, item, { y: top + HIGH * 0.75, isPinned: true }); });
    }
    /* a trunk below each parent, drawn once, and from it a line to every child */
    function lines() {
      drawn.items.forEach(function (item) {
        if (item.last > item.y) { trunk(item, item.last, false); }
      });
      drawn.items.forEach(function (item) {
        var over = item.parent < 0 ? null : drawn.items[drawn.tree.spot[item.parent]];
        if (!over || item.x < left - 40 || over.x > right) { return; }
        var edge = item.more ? -1 : drawn.tree.above[item.at], isMarked = marks.edges.has(edge);
        if (isMarked && item.y > over.y) { trunk(over, item.y, true); }
        if (item.y + HIGH < top || item.y - HIGH > bottom) { return; }
        var style = edge < 0 ? "inferred" : drawn.edges[edge].style, bend = bendOf(over);
        pencil(isMarked, marks.isFaintEdge(edge), style);
        ctx.beginPath();
        if (item.y > over.y) {
          ctx.moveTo(bend, item.y - TURN);
          ctx.quadraticCurveTo(bend, item.y, bend + TURN, item.y);
        } else {
          ctx.moveTo(over.x + box, item.y);
        }
        ctx.lineTo(item.x, item.y);
        ctx.stroke();
        if (edge >= 0 && k > 0.3) { end(edge, item, style); }
      });
      ctx.setLineDash([]);
    }
    function bendOf(item) { return item.x + (isStacked ? DOWN : box + BEND); }
    function pencil(isMarked, isFaint, style) {
      alpha(isFaint);
      ctx.strokeStyle = isMarked ? look.accent : look.edge;
      ctx.lineWidth = Math.max(isMarked ? 2.5 : style === "declared" ? 2 : 1.3, 0.8 / k);
      ctx.setLineDash(k < 0.3 ? [] : look.dashes[style]);
    }
    /* from the right of a box down to the row of a child; only what is seen of it */
    function trunk(item, low, isMarked) {
      var bend = bendOf(item), y0 = Math.max(item.y + (isStacked ? HIGH / 2 : TURN), top);
      var y1 = Math.min(low - TURN, bottom);
      if (bend < left || bend > right || y0 > bottom || y1 < top) { return; }
      pencil(isMarked, marks.isFaint(item.at), "inferred");
      ctx.beginPath();
      if (item.y > top - HIGH && !isStacked) {
        ctx.moveTo(item.x + box, item.y);
        ctx.lineTo(bend - TURN, item.y);
        ctx.quadraticCurveTo(bend, item.y, bend, item.y + TURN);
      }
      ctx.moveTo(bend, y0);
      ctx.lineTo(bend, y1);
      ctx.stroke();
    }
    function end(edge, item, style) {
      if (style !== "undetermined") { arrow(item.x, item.y); }
      if (!isNear || isStacked) { return; }
      kinds.push({ text: drawn.edges[edge].label, x: item.x - (drawn.merged.has(item.at) ? 28 : 10), y: item.y - 5,
        isFaint: marks.isFaintEdge(edge) });
    }
    /* how each was made, above the lines; a line that passes behind is left out there */
    function labelled(kind) {
      ctx.font = "10.5px " + look.family;
      ctx.textAlign = "right";
      ctx.textBaseline = "alphabetic";
      ctx.globalAlpha = 1;
      ctx.fillStyle = look.page;
      var wide = measured(kind.text) + 3;
      filled([[1, 2], [1, -9], [-wide, -9], [-wide, 2]], kind.x, kind.y);
      alpha(kind.isFaint);
      ctx.fillStyle = look.muted;
      ctx.fillText(kind.text, kind.x, kind.y);
    }
    function arrow(x, y, isLeft) {
      var back = isLeft ? 8 : -8;
      ctx.fillStyle = ctx.strokeStyle;
      filled([[0, 0], [back, -4], [back, 4]], x, y);
    }
    function filled(points, x, y) {
      ctx.beginPath();
      points.forEach(function (point, i) { ctx[i ? "lineTo" : "moveTo"](x + point[0], y + point[1]); });
      ctx.closePath();
      ctx.fill();
    }

    function merges() {
      routes(drawn).forEach(function (route) {
        var edge = drawn.edges[route.edge], ys = route.points.map(function (p) { return p[1]; });
        if (Math.max.apply(null, ys) < top || Math.min.apply(null, ys) > bottom) { return; }
        pencil(marks.edges.has(route.edge), marks.isFaintEdge(route.edge), edge.style);
        bent(route.points.map(near));
        ctx.setLineDash([]);
        var end = route.points[route.points.length - 1];
        if (edge.style !== "undetermined" && k > 0.3) { arrow(end[0], end[1], isStacked); }
      });
    }
    /* dashes are dear: a line ends a little outside of what is seen */
    function near(point) { return [point[0], Math.min(Math.max(point[1], top - 60), bottom + 60)]; }
    function bent(points) {
      ctx.beginPath();
      ctx.moveTo(points[0][0], points[0][1]);
      for (var i = 1; i < points.length - 1; i += 1) {
        var p = points[i], was = points[i - 1], next = points[i + 1];
        var r = Math.min(5, length(was, p) / 2, length(p, next) / 2);
        ctx.lineTo(p[0] + side(was[0] - p[0]) * r, p[1] + side(was[1] - p[1]) * r);
        ctx.quadraticCurveTo(p[0], p[1], p[0] + side(next[0] - p[0]) * r, p[1] + side(next[1] - p[1]) * r);
      }
      ctx.lineTo(points[points.length - 1][0], points[points.length - 1][1]);
      ctx.stroke();
    }
    function length(p, q) { return Math.abs(p[0] - q[0]) + Math.abs(p[1] - q[1]); }
    function side(x) { return x > 0.01 ? 1 : x < -0.01 ? -1 : 0; }

    function group(item) {
      var edge = drawn.tree.above[item.at];
      return edge < 0 ? "" : drawn.edges[edge].group;
    }
    function frame(item) {
      return marks.chosen === item.at || marks.found.has(item.at) ? look.accent : look.line;
    }
    function whole(item) {
      var node = drawn.nodes[item.at], y = item.y - HIGH / 2, isMore = item.more > 0;
      var isMarked = !isMore && frame(item) === look.accent, made = isMore ? "" : group(item);
      alpha(!isMore && marks.isFaint(item.at));
      ctx.fillStyle = look.box;
      ctx.strokeStyle = isMarked ? look.accent : look.line;
      ctx.lineWidth = isMarked ? 2.5 : 1;
      ctx.setLineDash(node.unobserved && !isMore || isMore ? [4, 3] : []);
      ctx.beginPath();
      ctx.roundRect(item.x, y, box, HIGH, 5);
      ctx.fill();
      ctx.stroke();
      ctx.setLineDash([]);
      if (made) {
        ctx.fillStyle = look.groups[made];
        filled(drawn.glyphs[made], item.x + 14, item.y);
      }
      ctx.fillStyle = isMore ? look.accent : node.unobserved ? look.muted : look.text;
      ctx.font = "12.5px " + look.family;
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      var text = isMore ? item.more.toLocaleString("en") + " more" : node.label, x = item.x + (made ? 26 : 11);
      var room = item.x + box - 12 - x;
      ctx.fillText(isStacked ? fitted(text, room) : text, x, item.y + 0.5);
      if (isStacked && !isMore && made) { how(item, room - measured(text) - 10); }
      if (!isMore && drawn.tree.below[item.at].length) { handle(item); }
    }
    function measured(text) { return ctx.measureText(text).width; }
    /* a text that fits, its middle left out where it is too long */
    function fitted(text, room) {
      var shown = text;
      for (var n = text.length - 1; n > 4 && measured(shown) > room; n -= 1) {
        var tail = Math.floor(n / 3);
        shown = text.slice(0, n - tail) + "…" + text.slice(text.length - tail);
      }
      return shown;
    }
    /* how a model was made, in its box, where there is room */
    function how(item, room) {
      ctx.font = "10.5px " + look.family;
      var words = drawn.edges[drawn.tree.above[item.at]].label;
      if (measured(words) > room) { return; }
      ctx.fillStyle = look.muted;
      ctx.textAlign = "right";
      ctx.fillText(words, item.x + box - 12, item.y + 0.5);
    }
    /* what folds and unfolds: a minus, or a plus with the number of models that are hidden */
    function handle(item) {
      var isOpen = drawn.tree.isOpen[item.at], x = item.x + box;
      ctx.fillStyle = look.page;
      ctx.strokeStyle = look.line;
      ctx.lineWidth = 1.2;
      ctx.beginPath();
      ctx.arc(x, item.y, 7, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(x - 3.5, item.y);
      ctx.lineTo(x + 3.5, item.y);
      if (!isOpen) { ctx.moveTo(x, item.y - 3.5); ctx.lineTo(x, item.y + 3.5); }
      ctx.strokeStyle = look.text;
      ctx.stroke();
      if (!isOpen) {
        ctx.fillStyle = look.muted;
        ctx.font = "11px " + look.family;
        ctx.fillText((drawn.tree.size[item.at] - 1).toLocaleString("en"), x + 11, item.y + 0.5);
      }
    }
    /* from afar: a box in the colour of its kind */
    function bar(item) {
      var made = item.more ? "" : group(item), isMarked = !item.more && frame(item) === look.accent;
      alpha(!item.more && marks.isFaint(item.at));
      ctx.fillStyle = isMarked ? look.accent : made ? look.groups[made] : look.line;
      ctx.fillRect(item.x, item.y - HIGH / 2, isMarked ? box : made ? box / 4 : box / 2, HIGH);
    }
    /* names of the largest branches, as large as they are read, where none covers another */
    function labels() {
      var taken = new Map(), n = 0;
      ctx.globalAlpha = 1;
      ctx.font = SMALL + "px " + look.family;
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      ctx.lineWidth = 4;
      ctx.lineJoin = "round";
      function important(item) {
        return marks.chosen === item.at || marks.found.has(item.at) ? 1e9 : drawn.tree.size[item.at];
      }
      seen.filter(function (item) { return !item.more && !marks.isFaint(item.at); })
        .sort(function (a, b) { return important(b) - important(a); })
        .some(function (item) {
          var text = drawn.nodes[item.at].label, x = item.x * k + view.x + 4, y = item.y * k + view.y;
          var wide = text.length * SMALL * 0.56, rows = [Math.floor(y / SMALL) - 1, Math.floor(y / SMALL),
            Math.floor(y / SMALL) + 1];
          var isFree = rows.every(function (row) {
            return (taken.get(row) || []).every(function (p) { return p[1] < x - 4 || p[0] > x + wide + 4; });
          });
          if (!isFree) { return false; }
          taken.set(rows[1], (taken.get(rows[1]) || []).concat([[x, x + wide]]));
          ctx.strokeStyle = look.page;
          ctx.strokeText(text, x, y);
          ctx.fillStyle = look.text;
          ctx.fillText(text, x, y);
          n += 1;
          return n >= MOST_LABELS;
        });
    }
  }

  /* lines from further parents: outside of stacked boxes; else right of the box, along the lane above the child's row, into the child;
     a folded branch stands for the models in it */
  function routes(drawn) {
    var n = new Map(), found = [], outer = 0;
    drawn.items.forEach(function (item) { outer = Math.max(outer, item.x + drawn.box); });
    drawn.further.forEach(function (i) {
      var edge = drawn.edges[i], from = drawn.tree.standing(edge.s), to = drawn.tree.spot[edge.t];
      if (from < 0 || to < 0 || from === edge.t) { return; }
      var a = drawn.items[drawn.tree.spot[from]], b = drawn.items[to], nth = n.get(edge.t) || 0;
      n.set(edge.t, nth + 1);
      if (drawn.isStacked) {
        var ends = [a.x + drawn.box, b.x + drawn.box], beside = outer + 12 + Math.min(nth, 2) * 3;
        found.push({ edge: i, points: [[ends[0], a.y + 7], [beside, a.y + 7], [beside, b.y - 8], [ends[1], b.y - 8]] });
        return;
      }
      var shift = Math.min(nth, 2) * 2.5, lane = b.y - LANE + shift;
      var x0 = a.x + drawn.box, x = x0 + MERGE + shift, x1 = b.x - 16 - shift;
      found.push({ edge: i, points: [[x0, a.y + 7], [x, a.y + 7], [x, lane], [x1, lane], [x1, b.y - 8],
        [b.x, b.y - 8]] });
    });
    return found;
  }

  window.weightkinDraw = { shape: shape, paint: paint, routes: routes, high: HIGH, readable: READABLE };
}());
