/* A drawing as a file: PNG, or SVG by a canvas that writes down what is drawn on it. */
(function () {
  "use strict";
  var MOST_DOTS = 48e6, LONGEST = 16000; /* of a PNG */
  function safe(text) {
    return String(text).replace(/[&<>"]/g, function (c) { return "&#" + c.charCodeAt(0) + ";"; });
  }
  function number(x) { return Math.round(x * 100) / 100; }

  function svg(width, height, ground) {
    var parts = [], path = "", dash = "", shift = [0, 0];
    function at(x, y) { return number(x) + " " + number(y); }
    function add(what) {
      parts.push("<path d=\"" + path + "\" " + what + (pen.globalAlpha < 1
        ? " opacity=\"" + pen.globalAlpha + "\"" : "") + "/>");
    }
    var pen = {
      globalAlpha: 1, fillStyle: "", strokeStyle: "", lineWidth: 1, font: "", textAlign: "left",
      textBaseline: "", lineJoin: "",
      save: function () {}, restore: function () {}, scale: function () {},
      translate: function (x, y) { shift = [x, y]; },
      setLineDash: function (values) { dash = values.join(" "); },
      beginPath: function () { path = ""; },
      moveTo: function (x, y) { path += "M" + at(x, y); },
      lineTo: function (x, y) { path += "L" + at(x, y); },
      quadraticCurveTo: function (a, b, x, y) { path += "Q" + at(a, b) + " " + at(x, y); },
      closePath: function () { path += "z"; },
      arc: function (x, y, r) {
        path += "M" + at(x - r, y) + "a" + at(r, r) + " 0 1 0 " + at(2 * r, 0) + "a" + at(r, r) + " 0 1 0 "
          + at(-2 * r, 0);
      },
      roundRect: function (x, y, w, h, r) {
        path += "M" + at(x + r, y) + "h" + number(w - 2 * r) + "q" + at(r, 0) + " " + at(r, r) + "v"
          + number(h - 2 * r) + "q" + at(0, r) + " " + at(-r, r) + "h" + number(2 * r - w) + "q" + at(-r, 0)
          + " " + at(-r, -r) + "v" + number(2 * r - h) + "q" + at(0, -r) + " " + at(r, -r) + "z";
      },
      fill: function () { add("fill=\"" + pen.fillStyle + "\""); },
      stroke: function () {
        add("fill=\"none\" stroke=\"" + pen.strokeStyle + "\" stroke-width=\"" + pen.lineWidth + "\""
          + (dash ? " stroke-dasharray=\"" + dash + "\"" : ""));
      },
      measureText: function (text) { /* a little wide, as the font is not known here */
        return { width: 0.58 * parseFloat(pen.font) * text.length };
      },
      fillText: function (text, x, y) {
        var end = pen.textAlign === "right" ? " text-anchor=\"end\"" : "";
        var low = pen.textBaseline === "middle" ? 4 : 0;
        parts.push("<text x=\"" + number(x) + "\" y=\"" + number(y + low) + "\" fill=\"" + pen.fillStyle
          + "\" font-size=\"" + parseFloat(pen.font) + "\"" + end + ">" + safe(text) + "</text>");
      }
    };
    pen.text = function (title, family) {
      return "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + width + "\" height=\"" + height
        + "\" viewBox=\"0 0 " + width + " " + height + "\" font-family=\"" + safe(family) + "\"><title>"
        + safe(title) + "</title><rect width=\"100%\" height=\"100%\" fill=\"" + ground + "\"/><g transform=\""
        + "translate(" + at(shift[0], shift[1]) + ")\">" + parts.join("") + "</g></svg>\n";
    };
    return pen;
  }
  function save(blob, ending) {
    var link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "family." + ending;
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  }
  /* a picture has its size, and draws itself onto a pen */
  window.weightkinSave = {
    svg: function (picture, look, title) {
      var pen = picture.onto(svg(picture.w, picture.h, look.page));
      save(new Blob([pen.text(title, look.family)], { type: "image/svg+xml" }), "svg");
    },
    png: function (picture, look) {
      var w = picture.w, h = picture.h;
      var k = Math.min(2, LONGEST / Math.max(w, h), Math.sqrt(MOST_DOTS / (w * h)));
      var paper = document.createElement("canvas"), pen = paper.getContext("2d");
      paper.width = Math.ceil(w * k);
      paper.height = Math.ceil(h * k);
      pen.fillStyle = look.page;
      pen.fillRect(0, 0, paper.width, paper.height);
      pen.scale(k, k);
      picture.onto(pen);
      paper.toBlob(function (blob) { save(blob, "png"); }, "image/png");
    }
  };
}());
