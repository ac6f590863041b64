"use strict";
/* The tables of the Decide page: ranking, ruled out, how to run it, advice, reasons. */
socbench.tables = (function () {
  var t = socbench.text, h = t.h, SIGNS = { "met": "✓", "not met": "✗", "unknown": "?" };
  var data = null;
  function use(document_) { data = document_; }

  function state(found) {
    return [h("span", { class: "d-sign", "aria-hidden": "true" }, SIGNS[found.state]), h("span", { class: "d-word" }, t.word("state-" + found.state))];
  }
  function swatch(at) {
    return h("i", { class: "d-swatch k" + at % 16, "aria-hidden": "true" });
  }
  /* A number whose decimals align with those of its column: whole part, then the rest in a box of the column's width. */
  function aligned(said, unit, room) {
    var at = said.indexOf("."), whole = at < 0 ? said : said.slice(0, at), rest = at < 0 ? "" : said.slice(at);
    return [h("span", { class: "d-whole" }, whole), h("span", { class: "d-rest", style: "min-width:" + room + "ch" }, rest), unit ? h("span", { class: "d-unit" }, "\u2009" + unit) : null];
  }
  /* How a column of cells is written: in one unit, and with room for its decimals. */
  function column(cells, metric, near) {
    var by = t.scale(metric, near || 1), room = 0;
    cells.forEach(function (cell) {
      if (cell.v === undefined) return;
      var said = t.parts(cell.v, metric, by)[0], at = said.indexOf(".");
      room = Math.max(room, at < 0 ? 0 : said.length - at);
    });
    return { by: by, room: room };
  }
  function value(cell, style) {
    var sign = socbench.drawer.sign(cell.k), content;
    if (cell.v === undefined) content = [h("span", { class: "d-none" }, t.word("state-unknown")), " ", sign];
    else {
      var said = t.parts(cell.v, cell.m, style.by), prefix = "";
      if ((cell.f === "-inf" || cell.f === 0) && typeof cell.c === "number") {
        prefix = "≤\u2009";
        said = t.parts(cell.c, cell.m, style.by);
      } else if (cell.c === "inf" && cell.f !== undefined) {
        prefix = "≥\u2009";
      } else if (typeof cell.f === "number" && typeof cell.c === "number" && cell.f < cell.c) {
        prefix = t.parts(cell.f, cell.m, style.by)[0] + "–";
        said = t.parts(cell.c, cell.m, style.by);
      }
      content = [prefix ? h("span", { class: "d-side" }, prefix) : null, aligned(said[0], said[1], style.room), " ", sign];
    }
    return h("button", { type: "button", class: "d-cell", "data-cell": socbench.drawer.keyOf(cell) }, content);
  }
  /* A stacked bar: one piece a share, drawn and described by `describe` and `resize`. */
  function bar(count, classOf) {
    var made = h("span", { class: "d-bar", role: "img" });
    for (var at = 0; at < count; at++) made.appendChild(h("i", { class: classOf(at) }));
    return made;
  }
  function resize(bar_, shares) {
    for (var at = 0; at < shares.length; at++) bar_.children[at].style.width = (shares[at] > 0.002 ? shares[at] * 100 : 0).toFixed(2) + "%";
  }
  function describe(bar_, words) {
    words.forEach(function (said, at) { bar_.children[at].title = said; });
    bar_.setAttribute("aria-label", words.join(", "));
  }
  function rankShares(entry) {
    return entry.ranks.slice(0, 3).concat(entry.ranks.slice(3, -1).reduce(function (sum, one) { return sum + one; }, 0));
  }
  function rankWords(shares) {
    return shares.map(function (one, at) { return at < 3 ? t.say("rank-is", { rank: at + 1, percent: t.percent(one) }) : t.say("rank-few", { percent: t.percent(one) }); });
  }

  // ---- the ranking

  function columns(view) {
    return [
      { id: "soc", title: t.word("col-soc"), key: function (one) { return t.soc(one.s).toLowerCase(); }, up: true },
      { id: "best", title: t.word("col-best"), key: function (one) { return one.best; } },
      { id: "feasible", title: t.word("col-feasible"), key: function (one) { return one.feasible; } },
      { id: "ranks", title: t.word("col-ranks"), key: function (one) { return one.ranks[0] + one.ranks[1] + one.ranks[2]; } },
      { id: "value", title: t.word("col-value"), key: function (one) { return one.score; } },
    ].concat(view.limits.map(function (limit, at) {
      return {
        id: "l:" + limit.id, title: t.title(limit), sub: t.bound(limit), limit: at, up: limit.sense === "most",
        key: function (one) { var found = one.findings[at].cell.v; return found === undefined ? null : found; },
      };
    }));
  }
  /* The head: a button a column. `sort`: "best" descending or ascending as is natural, "-best" the other way. */
  function head(view, sort) {
    return h("tr", {}, columns(view).map(function (one) {
      var on = sort === one.id || sort === "-" + one.id || (!sort && one.id === "value"), up = !!one.up !== (sort === "-" + one.id);
      return h("th", { scope: "col", class: "d-col-" + (one.limit === undefined ? one.id : "limit"), "aria-sort": on ? (up ? "ascending" : "descending") : null },
        h("button", { type: "button", class: "d-sort", "data-sort": one.id, title: t.say("sorted", { column: one.title }) },
          h("span", {}, one.title), one.sub ? h("span", { class: "d-under" }, one.sub) : null));
    }));
  }
  function sorted(entries, view, sort) {
    if (!sort) return entries;
    var id = sort.replace(/^-/, ""), one = columns(view).find(function (column) { return column.id === id; });
    if (!one) return entries;
    var way = (one.up ? 1 : -1) * (sort[0] === "-" ? -1 : 1);
    return entries.map(function (entry, at) { return [entry, at]; }).sort(function (a, b) {
      var x = one.key(a[0]), y = one.key(b[0]);
      if (x === null || y === null) return (x === null) - (y === null) || a[1] - b[1];
      return (x < y ? -way : x > y ? way : 0) || a[1] - b[1];
    }).map(function (pair) { return pair[0]; });
  }
  function rows(entries, view, notes) {
    var heads = columns(view), styles = view.limits.map(function (limit, at) {
      return column(entries.map(function (one) { return one.findings[at].cell; }), limit.metric, limit.bound);
    });
    return entries.map(function (entry) {
      var cells = [
        h("td", { class: "num d-best", "data-label": heads[1].title }),
        h("td", { class: "num d-may", "data-label": heads[2].title }),
        h("td", { class: "d-places", "data-label": heads[3].title }, bar(4, function (at) { return "r" + (at + 1); })),
        h("td", { class: "d-value", "data-label": heads[4].title }, bar(view.criteria.length, function (at) { return "k" + at % 16; }), h("span", { class: "d-score" })),
      ].concat(view.limits.map(function (limit, at) {
        var found = entry.findings[at];
        return h("td", { class: "d-limit d-state " + found.state.replace(" ", "-"), "data-label": heads[at + 5].title + " " + heads[at + 5].sub },
          h("span", { class: "d-sign", role: "img", "aria-label": t.word("state-" + found.state), title: t.word("state-" + found.state) }, SIGNS[found.state]),
          value(found.cell, styles[at]), notes ? notes(found.cell) : null);
      }));
      var made = h("tr", { "data-row": entry.s },
        h("th", { scope: "row" }, h("button", { type: "button", class: "d-soc", "data-dossier": entry.s }, t.soc(entry.s)), h("span", { class: "d-under" }, data.socs[entry.s].vendor), h("span", { class: "d-under d-thin", hidden: true }, t.word("thin"))), cells);
      follow(made, entry, view, true);
      return made;
    });
  }
  /* What a row says that depends on the weights; the words behind the bars only when the hand rests (`whole`). */
  function follow(row, entry, view, whole) {
    var cells = row.children, shares = rankShares(entry);
    row.className = entry.out ? "out" : entry.s === view.leader ? "leader" : "";
    cells[0].lastChild.hidden = !entry.thin;
    cells[1].textContent = t.two(entry.best);
    cells[2].textContent = t.two(entry.feasible);
    resize(cells[3].firstChild, shares);
    resize(cells[4].firstChild, entry.parts);
    cells[4].lastChild.textContent = entry.score.toFixed(2);
    if (!whole) return;
    describe(cells[3].firstChild, rankWords(shares));
    describe(cells[4].firstChild, entry.parts.map(function (part, at) { return t.title(view.criteria[at]) + " " + part.toFixed(2); }));
  }
  function ruledOut(entries, view) {
    return h("table", { class: "d-table d-out" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t.word("col-soc")), h("th", { scope: "col" }, t.word("col-why")))),
      h("tbody", {}, entries.map(function (entry) {
        var failed = view.limits.map(function (limit, at) { return [limit, entry.findings[at]]; }).filter(function (pair) { return pair[1].state === "not met"; });
        return h("tr", {}, h("th", { scope: "row" }, h("button", { type: "button", class: "d-soc", "data-dossier": entry.s }, t.soc(entry.s))),
          h("td", {}, failed.map(function (pair) {
            return h("span", { class: "d-fail" }, h("span", { class: "d-sign", "aria-hidden": "true" }, "✗"), t.title(pair[0]), " ",
              h("button", { type: "button", class: "d-cell", "data-cell": socbench.drawer.keyOf(pair[1].cell) }, t.cellText(pair[1].cell), " ", socbench.drawer.sign(pair[1].cell.k)),
              " ", h("span", { class: "sub" }, "(" + t.bound(pair[0]) + ")"));
          })));
      })));
  }

  // ---- beside the ranking

  /* Runtime and precision of the leader, a row a workload, and why these. */
  function running(view) {
    var entry = view.entries[0], seen = {}, found = [];
    if (view.leader === null) return null;
    view.criteria.concat(view.limits).forEach(function (one, at) {
      if (!one.workload || seen[one.workload]) return;
      var cell = at < view.criteria.length ? entry.cells[at] : entry.findings[at - view.criteria.length].cell;
      seen[one.workload] = true;
      var place = entry.options && entry.options[one.workload] !== undefined ? entry.options[one.workload] : cell.o, option = place === undefined ? ["–", "–", "–"] : data.options[place];
      found.push(h("tr", {}, h("th", { scope: "row" }, one.workload), h("td", {}, option[0]), h("td", {}, option[1]), h("td", {}, option[2]),
        h("td", {}, reason(cell), " ", h("button", { type: "button", class: "d-cell", "data-cell": socbench.drawer.keyOf(cell) }, t.cellText(cell), " ", socbench.drawer.sign(cell.k)))));
    });
    if (!found.length) return null;
    return h("section", { class: "d-run" }, h("h3", {}, t.say("run-title", { soc: t.soc(view.leader) })), h("div", { class: "d-scroll" }, h("table", { class: "d-table" },
      h("thead", {}, h("tr", {}, ["run-workload", "run-runtime", "run-precision", "run-unit", "run-why"].map(function (key) { return h("th", { scope: "col" }, t.word(key)); }))),
      h("tbody", {}, found))));
  }
  function reason(cell) {
    if (cell.v === undefined) return t.word("run-none");
    if (cell.k === "estimated") return t.word("run-estimated");
    var ways = {};
    (cell.g || []).concat((cell.l || []).map(function (one) { return one[0]; })).forEach(function (place) {
      var one = data.figures[place];
      if (one.o !== undefined) ways[one.o] = true;
    });
    var count = Object.keys(ways).length;
    return count > 1 ? t.say("run-fastest", { count: count }) : t.word("run-only");
  }
  function advice(view) {
    if (!view.advice) return null;
    var many = view.advice.map(function (one) {
      var what = t.title(one);
      return h("tr", {}, h("th", { scope: "row" }, one.cell ? h("button", { type: "button", class: "d-cell", "data-cell": socbench.drawer.keyOf(one.cell) }, t.say("on-soc", { what: what, soc: t.soc(one.s) })) : t.say("on-soc", { what: what, soc: t.soc(one.s) })),
        h("td", { class: "num", "data-label": t.word("advice-flip") }, t.percent(one.flip)), h("td", {}, how(one)));
    });
    return h("section", {}, h("h3", {}, t.word("advice")), many.length ? h("div", { class: "d-scroll" }, h("table", { class: "d-table d-advice" },
      h("thead", {}, h("tr", {}, ["advice-col", "advice-flip", "advice-how"].map(function (key) { return h("th", { scope: "col" }, t.word(key)); }))), h("tbody", {}, many))) :
      h("p", {}, t.word("advice-none")));
  }
  function how(one) {
    var found = one.cell && one.cell.h !== undefined ? t.how(one.cell) : null, asked = data.metrics[one.m].of === "part";
    return [one.how ? t.of(one.how) : null, found && !asked ? (found.command ? h("code", { class: "line", lang: "en" }, found.command) : null) : null,
      found && (!asked || !one.how) ? h("span", { class: "line sub" }, found.said) : null];
  }
  function reasons(view) {
    return [
      h("div", { class: "d-scroll" }, h("table", { class: "d-table" },
        h("thead", {}, h("tr", {}, ["why-criterion", "why-weight", "why-anchors", "why-reason"].map(function (key) { return h("th", { scope: "col" }, t.word(key)); }))),
        h("tbody", {}, view.scenario.criteria.map(function (goal, at) {
          return h("tr", {}, h("th", { scope: "row" }, swatch(at), t.title(goal)), h("td", { class: "num" }, String(goal.weight)), h("td", {}, goal.anchors.join(" / ")), h("td", {}, t.of(goal.reason)));
        })))),
      view.scenario.limits.length ? h("div", { class: "d-scroll" }, h("table", { class: "d-table" },
        h("thead", {}, h("tr", {}, ["why-limit", "why-bound", "why-accept", "why-reason"].map(function (key) { return h("th", { scope: "col" }, t.word(key)); }))),
        h("tbody", {}, view.scenario.limits.map(function (limit) {
          return h("tr", {}, h("th", { scope: "row" }, t.title(limit)), h("td", {}, t.bound(limit)), h("td", {}, socbench.drawer.sign(limit.accept), " ", t.word("kind-" + limit.accept)), h("td", {}, t.of(limit.reason)));
        })))) : null,
    ];
  }
  function marks() {
    return h("p", { class: "d-marks" }, Object.keys(data.signs).map(function (kind) {
      return h("span", {}, h("span", { "aria-hidden": "true" }, data.signs[kind]), " ", t.word("kind-" + kind));
    }), ["met", "not met", "unknown"].map(function (one) { return h("span", {}, h("span", { "aria-hidden": "true" }, SIGNS[one]), " ", t.word("state-" + one)); }));
  }
  return { use: use, state: state, swatch: swatch, head: head, rows: rows, follow: follow, sorted: sorted, ruledOut: ruledOut, running: running, advice: advice, reasons: reasons, marks: marks };
})();
