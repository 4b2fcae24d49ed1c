/* Watches jobs, suggests models, refuses what is too large before it is sent. */
(function () {
  "use strict";
  var EVERY = 700; /* milliseconds between two looks at a job */

  function watch(box) {
    var begun = box.querySelector(".said");
    function look() {
      fetch("/api/jobs/" + box.dataset.job, { headers: { accept: "application/json" } })
        .then(function (answer) {
          if (!answer.ok) { throw new Error("status " + answer.status); }
          return answer.json();
        })
        .then(function (job) {
          var badge = box.querySelector(".badge");
          if (job.is_over) { location.reload(); return; }
          badge.textContent = job.state;
          badge.className = "badge " + job.state;
          box.className = "job " + job.state;
          begun.textContent = words(job);
          setTimeout(look, EVERY);
        })
        .catch(function () {
          begun.textContent = "The server does not answer; trying again…";
          setTimeout(look, 4 * EVERY);
        });
    }
    look();
  }

  function words(job) {
    if (job.state === "queued") { return "waiting for other jobs"; }
    var seconds = Math.max(0, Math.round((Date.now() - Date.parse(job.begun)) / 1000));
    return (job.said ? job.said + " · " : "") + seconds + " s";
  }

  function suggest(field) {
    var list = field.list, waiting = 0, last = "";
    field.addEventListener("input", function () {
      clearTimeout(waiting);
      waiting = setTimeout(function () {
        var text = field.value.trim();
        if (text === last || !text) { return; }
        last = text;
        fetch("/api/models?size=20&query=" + encodeURIComponent(text.slice(0, 1000)))
          .then(function (answer) { return answer.ok ? answer.json() : { models: [] }; })
          .then(function (found) {
            list.replaceChildren.apply(list, found.models.map(function (model) {
              var option = document.createElement("option");
              option.value = "#" + model.id + " " + model.name.slice(0, 80);
              return option;
            }));
          })
          .catch(function () { list.replaceChildren(); });
      }, 150);
    });
  }

  function weigh(field) {
    var problem = field.form.querySelector(".problem");
    field.addEventListener("change", function () {
      var file = field.files[0];
      var isLarge = !!file && file.size > Number(field.dataset.most);
      problem.hidden = !isLarge;
      problem.textContent = isLarge ? "This file is too large for a sketch." : "";
      field.setCustomValidity(isLarge ? problem.textContent : "");
    });
  }

  /* a sketch that is dropped on the search box is searched for, as if it had been chosen below */
  function take(box) {
    var part = box.querySelector("details"), field = part.querySelector("input[type=file]");
    box.addEventListener("dragover", function (event) {
      if (!event.dataTransfer.types.includes("Files")) { return; }
      event.preventDefault();
      part.open = true;
      part.classList.add("over");
    });
    box.addEventListener("dragleave", function () { part.classList.remove("over"); });
    box.addEventListener("drop", function (event) {
      if (!event.dataTransfer.files.length) { return; }
      event.preventDefault();
      part.classList.remove("over");
      field.files = event.dataTransfer.files;
      field.dispatchEvent(new Event("change"));
      field.form.requestSubmit();
    });
  }

  /* the filter of the drawing is that of the table: what one shows, the other does */
  function join(frame, edges) {
    var kind = frame.querySelector(".kind"), sure = frame.querySelector(".sure"), asked = 0;
    var form = edges.querySelector("form").elements;
    kind.value = form.kind.value;
    sure.value = form.sure.value || "0";
    kind.dispatchEvent(new Event("change"));
    function look() {
      var mine = asked += 1;
      var wanted = { family: form.family.value, kind: kind.value, sure: sure.value === "0" ? "" : sure.value };
      var address = "?" + new URLSearchParams(wanted);
      fetch("/family/edges" + address)
        .then(function (answer) { return answer.ok ? answer.text() : Promise.reject(answer); })
        .then(function (text) {
          var found = new DOMParser().parseFromString(text, "text/html").getElementById("edges");
          if (mine !== asked || !found) { return; }
          edges.replaceChildren.apply(edges, Array.from(found.childNodes));
          history.replaceState(null, "", "/family" + address);
        })
        .catch(function () { location.assign("/family" + address + "#edges"); });
    }
    kind.addEventListener("change", look);
    sure.addEventListener("change", look);
  }

  window.addEventListener("load", function () {
    var frame = document.querySelector(".graph[data-ready]");
    var edges = document.getElementById("edges");
    if (frame && edges) { join(frame, edges); }
  });
  document.querySelectorAll(".job[data-job]").forEach(function (box) {
    if (box.querySelector(".progress")) { watch(box); }
  });
  document.querySelectorAll("select[data-go]").forEach(function (choice) {
    choice.addEventListener("change", function () { choice.form.submit(); });
  });
  document.querySelectorAll("input[data-models]").forEach(suggest);
  document.querySelectorAll("input[data-most]").forEach(weigh);
  document.querySelectorAll(".finder").forEach(take);
})();
