"use strict";
/* Around the trade-off plot: which axes, which points, the key, and the data behind it. */
socbench.panel = (function () {
  var t = socbench.text, h = t.h, PAIRS = ["power", "price"], SPEEDS = ["latency", "rate", "decode", "prefill", "ttft", "realtime_factor", "energy"];
  var data = null, view = null, cellOf = socbench.view.cellOf;
  function use(document_) { data = document_; }
  function $(id) { return document.getElementById(id); }

  /* Draws the plot that `state` asks for; false where the scenario has none. `refused`: (entry) -> whether a filter hides it. */
  function show(view_, state, refused) {
    view = view_;
    var choices = plotChoices(), chosen = choices.find(function (one) { return one.id === state.plot; }) || choices[0];
    if (!chosen) return false;
    t.fill("d-plot-bar", h("label", {}, t.word("plot-pairs") + " ", h("select", { id: "d-plot-pick" }, choices.map(function (one) {
      return h("option", { value: one.id, selected: one === chosen }, t.say("plot-against", { a: t.title(one.y), b: t.title(one.x) }));
    }))));
    var points = [], left = [], rank = {};
    socbench.engine.STRENGTH.forEach(function (kind, at) { rank[kind] = at; });
    view.entries.forEach(function (entry) {
      if ((entry.out && !state.out) || refused(entry)) return;
      var x = cellOf(entry.s, chosen.x), y = cellOf(entry.s, chosen.y);
      if (!(x.v > 0) || !(y.v > 0)) { left.push(t.soc(entry.s)); return; }
      points.push({ x: x, y: y, name: t.soc(entry.s), kind: rank[x.k] > rank[y.k] ? x.k : y.k, first: entry.s === view.leader, out: entry.out });
    });
    function axis(one) { return { id: one.metric, title: t.title(one), lower: data.metrics[one.metric].better === "lower" }; }
    function limit(one) {
      var found = view.limits.find(function (other) { return other.metric === one.metric && other.workload === one.workload; });
      return found ? found.bound : 0;
    }
    t.fill("d-plot", points.length ? socbench.plot.draw(points, { x: axis(chosen.x), y: axis(chosen.y) }, { x: limit(chosen.x), y: limit(chosen.y) }) : h("p", { class: "sub" }, t.word("plot-empty")));
    t.fill("d-plot-left", left.length ? t.say("plot-left-out", { list: left.join(t.word("comma")) }) : "");
    var kinds = {};
    points.forEach(function (one) { kinds[one.kind] = true; });
    t.fill("d-plot-key", Object.keys(data.signs).filter(function (kind) { return kinds[kind]; }).map(function (kind) { return h("span", {}, socbench.plot.key(kind), " ", t.word("kind-" + kind)); }));
    plotData(points, chosen);
    return true;
  }
  function plotChoices() {
    var found = [];
    view.criteria.concat(view.limits).forEach(function (one) {
      if (!one.workload || SPEEDS.indexOf(one.metric) < 0) return;
      PAIRS.forEach(function (x) { choice(one, x); });
    });
    view.criteria.concat(view.limits).forEach(function (one) {
      if (one.workload && one.metric === "latency") choice({ metric: "rate", workload: one.workload, id: "rate:" + one.workload }, "price");
    });
    function choice(y, x) {
      var id = y.metric + ":" + y.workload + "," + x;
      if (found.some(function (one) { return one.id === id; })) return;
      var able = view.entries.some(function (entry) { return cellOf(entry.s, y).v > 0 && cellOf(entry.s, { metric: x, workload: "", id: x }).v > 0; });
      if (able) found.push({ id: id, y: y, x: { metric: x, workload: "", id: x } });
    }
    return found;
  }
  function plotData(points, chosen) {
    var rows = [[t.word("col-soc"), t.title(chosen.x), t.word("low"), t.word("high"), t.title(chosen.y), t.word("low"), t.word("high"), t.word("evidence")]];
    points.forEach(function (one) {
      function three(cell) { return [cell.v, cell.lo === undefined ? cell.v : cell.lo, cell.hi === undefined ? cell.v : cell.hi]; }
      rows.push([one.name].concat(three(one.x), three(one.y), t.word("kind-" + one.kind)));
    });
    var units = [chosen.x, chosen.x, chosen.x, chosen.y, chosen.y, chosen.y];
    t.fill("d-plot-data", h("table", { class: "d-table" }, h("thead", {}, h("tr", {}, rows[0].map(function (one) { return h("th", { scope: "col" }, one); }))),
      h("tbody", {}, rows.slice(1).map(function (row) {
        return h("tr", {}, row.map(function (one, at) {
          return at === 0 ? h("th", { scope: "row" }, one) : typeof one === "number" ? h("td", { class: "num" }, t.shown(one, units[at - 1].metric)) : h("td", {}, one);
        }));
      }))));
    $("d-csv").csv = rows.map(function (row, at) {
      return row.map(function (one, column) {
        var text = at === 0 && column > 0 && column < 7 ? one + " [" + data.metrics[units[column - 1].metric].unit + "]" : String(one);
        if (typeof one === "string" && /^[=+\-@\t\r]/.test(text)) text = "'" + text; // a spreadsheet would run it
        return /[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
      }).join(",");
    }).join("\n") + "\n";
  }
  return { use: use, show: show };
})();
