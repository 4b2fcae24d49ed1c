/* Pointers and the wheel on a drawing: one pointer moves it, two zoom it, a short touch chooses. */
(function () {
  "use strict";
  var SLOP = 5; /* pixels that a touch may move */

  /* the wheel scrolls the page until the drawing was touched */
  window.weightkinHands = function (canvas, stage, view, acts) {
    var held = new Map(), moved = 0;
    function spread() {
      var two = Array.from(held.values());
      return { d: Math.hypot(two[0].x - two[1].x, two[0].y - two[1].y) || 1,
        x: (two[0].x + two[1].x) / 2, y: (two[0].y + two[1].y) / 2 };
    }
    function place(event) {
      var box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    }
    canvas.addEventListener("pointerdown", function (event) {
      stage.focus({ preventScroll: true });
      if (event.button) { return; }
      if (event.isTrusted) { canvas.setPointerCapture(event.pointerId); }
      if (!held.size) { moved = 0; }
      held.set(event.pointerId, place(event));
    });
    canvas.addEventListener("pointermove", function (event) {
      var was = held.get(event.pointerId), now = place(event);
      if (!was) { return; }
      if (held.size === 2) {
        var before = spread();
        held.set(event.pointerId, now);
        var after = spread();
        view.x += after.x - before.x;
        view.y += after.y - before.y;
        acts.zoomBy(after.d / before.d, after.x, after.y);
        moved = SLOP + 1;
        return;
      }
      moved += Math.hypot(now.x - was.x, now.y - was.y);
      held.set(event.pointerId, now);
      if (moved <= SLOP) { return; }
      view.x += now.x - was.x;
      view.y += now.y - was.y;
      acts.changed();
    });
    canvas.addEventListener("pointerup", function (event) {
      var was = held.get(event.pointerId);
      held.delete(event.pointerId);
      if (was && !held.size && moved <= SLOP) { acts.tap(was.x, was.y); }
    });
    canvas.addEventListener("pointercancel", function (event) { held.delete(event.pointerId); });
    canvas.addEventListener("wheel", function (event) {
      if (document.activeElement !== stage && !event.ctrlKey) { return; }
      event.preventDefault();
      var spot = place(event);
      acts.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), spot.x, spot.y);
    }, { passive: false });
  };
}());
