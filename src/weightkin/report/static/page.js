/* Light or dark, the record as a file, and everything open on paper. No request is made. */
(function () {
  "use strict";
  var root = document.documentElement;
  function stored(value) {
    try {
      if (value === undefined) { return localStorage.getItem("weightkin-theme"); }
      localStorage.setItem("weightkin-theme", value);
    } catch (error) { /* no storage in this place */ }
    return null;
  }
  function isDark() {
    var chosen = root.getAttribute("data-theme");
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  var before = stored();
  if (before === "dark" || before === "light") { root.setAttribute("data-theme", before); }
  document.addEventListener("DOMContentLoaded", function () {
    root.classList.add("scripted");
    var button = document.querySelector(".theme");
    function say() { if (button) { button.textContent = isDark() ? "Light" : "Dark"; } }
    say();
    if (button) {
      button.addEventListener("click", function () {
        var next = isDark() ? "light" : "dark";
        root.setAttribute("data-theme", next);
        stored(next);
        say();
        document.dispatchEvent(new Event("weightkin-theme"));
      });
    }
    document.querySelectorAll("button.save").forEach(function (save) {
      if (!document.getElementById("record")) { save.hidden = true; return; }
      save.addEventListener("click", function () {
        var data = document.getElementById("record");
        var text = JSON.stringify(JSON.parse(data.textContent), null, 2) + "\n";
        var link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
        link.download = save.getAttribute("data-name") || "record.json";
        link.click();
        URL.revokeObjectURL(link.href);
      });
    });
    document.querySelectorAll("button.print").forEach(function (print) {
      print.addEventListener("click", function () { window.print(); });
    });
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details:not(.bulk)").forEach(function (part) { part.open = true; });
  });
}());
