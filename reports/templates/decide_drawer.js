"use strict";
/* The drawer: everything behind one number, or everything about one SoC in the scenario. */
socbench.drawer = (function () {
  var t = socbench.text, h = t.h, MANY = 8;
  var data = null, dialog = null, body = null, heading = null, context = null, again = null, opener = null;

  function init(document_, view) {
    data = document_;
    context = view; // () -> the view of the Decide page
    dialog = document.getElementById("evidence");
    body = document.getElementById("evidence-body");
    heading = document.getElementById("evidence-title");
    document.addEventListener("click", function (event) {
      var one = event.target.closest("[data-cell], [data-dossier]");
      if (one) {
        if (!dialog.contains(one)) opener = one;
        if (one.dataset.cell) openKey(one.dataset.cell);
        else openSoc(Number(one.dataset.dossier));
      } else if (event.target === dialog || event.target.closest("#evidence [data-shut]")) dialog.close();
    });
    document.addEventListener("keydown", function (event) {
      if (event.key !== "Enter" && event.key !== " ") return;
      var one = event.target.closest("[data-cell]");
      if (!one || one.tagName === "BUTTON" || one.tagName === "A") return;
      event.preventDefault();
      opener = one;
      openKey(one.dataset.cell);
    });
    dialog.addEventListener("close", function () {
      again = null;
      var back = opener && opener.isConnected ? opener : document.getElementById("d-title"); // opened by an address: to the scenario
      if (back && back.offsetParent) back.focus({ preventScroll: true });
      opener = null;
    });
    document.addEventListener("socbench:lang", function () { if (dialog.open && again) again(); });
  }
  function show(title, parts, repeat) {
    heading.textContent = title;
    body.replaceChildren();
    parts.forEach(function (one) { if (one) body.appendChild(one); });
    again = repeat;
    if (!dialog.open) dialog.showModal();
    body.scrollTop = 0;
    heading.focus({ preventScroll: true });
  }
  /* "soc|metric|workload" -> its cell: that of the scenario shown, else any; a fourth part is its very place. */
  function find(key) {
    var parts = key.split("|"), view = context(), found = null;
    if (parts[3] && data.cells[Number(parts[3])]) return data.cells[Number(parts[3])];
    function fits(cell) { return data.socs[cell.s].id === parts[0] && cell.m === parts[1] && (cell.w || "") === (parts[2] || ""); }
    if (view) {
      view.entries.forEach(function (entry) {
        if (data.socs[entry.s].id !== parts[0]) return;
        entry.cells.concat(entry.findings.map(function (one) { return one.cell; })).forEach(function (cell) { if (!found && fits(cell)) found = cell; });
      });
    }
    return found || data.cells.find(fits) || null;
  }
  function keyOf(cell) {
    return [data.socs[cell.s].id, cell.m, cell.w || ""].concat(cell.at === undefined ? [] : [cell.at]).join("|");
  }
  function openKey(key) {
    var cell = find(key);
    if (!cell) return false;
    show(t.say("on-soc", { what: t.title(cell), soc: t.soc(cell.s) }), cellParts(cell), function () { openKey(key); });
    return true;
  }
  function row(term, value) {
    return value ? h("div", {}, h("dt", {}, term), h("dd", {}, value)) : null;
  }
  function section(title, child) {
    return child ? h("section", {}, h("h3", {}, title), child) : null;
  }
  function sign(kind) {
    return h("span", { class: "d-mark", title: t.word("kind-" + kind) + ": " + t.word("means-" + kind) }, data.signs[kind]);
  }
  function source(place) {
    if (place === undefined) return null;
    var one = data.sources[place];
    return [t.link(one.u, one.w || one.u), one.d ? [", ", one.d] : null, one.c ? [", ", h("code", { title: one.c }, one.c.slice(0, 10))] : null, one.k ? [" (", one.k.replace("_", " "), ")"] : null];
  }
  function option(place) {
    return place === undefined ? null : data.options[place].filter(function (one) { return one; }).join(", ");
  }
  function figure(place, why) {
    var one = data.figures[place];
    return h("li", {},
      h("b", {}, one.v || one.id), " ", one.m ? h("span", { class: "sub" }, one.m.replace(/_/g, " ")) : null,
      why === undefined ? null : h("span", { class: "line" }, data.texts[why]),
      h("span", { class: "line sub" }, [option(one.o), data.texts[one.c], one.b].filter(function (text) { return text; }).join(" · ")),
      (one.z || []).map(function (flag) { return h("span", { class: "line sub" }, data.texts[flag]); }),
      one.n === undefined ? null : h("span", { class: "line sub" }, data.texts[one.n]),
      one.s === undefined ? null : h("span", { class: "line sub" }, source(one.s)));
  }
  function cellParts(cell) {
    var known = cell.v !== undefined, notes = (cell.n || []).map(function (place) { return h("p", {}, t.of(data.notes[place])); });
    var interval = known && cell.lo !== undefined && cell.lo !== cell.hi ? t.shown(cell.lo, cell.m) + " – " + t.shown(cell.hi, cell.m) : "";
    var within = known && cell.f !== undefined ? t.cellText(cell) : "";
    var sigma = cell.sd ? t.say("drawer-sigma-said", { sd: cell.sd.toFixed(2), factor: Math.exp(cell.sd).toFixed(2) }) : "";
    var lost = cell.l || [], others = h("ul", { class: "d-figures" }, lost.slice(0, MANY).map(function (one) { return figure(one[0], one[1]); }));
    if (lost.length > MANY) {
      others = h("div", {}, others, h("details", {}, h("summary", {}, t.say("drawer-more", { count: lost.length - MANY })),
        h("ul", { class: "d-figures" }, lost.slice(MANY).map(function (one) { return figure(one[0], one[1]); }))));
    }
    return [
      h("p", { class: "d-big" }, known ? t.shown(cell.v, cell.m) : t.word("drawer-none"), " ", h("span", { class: "d-kind" }, sign(cell.k), " ", t.word("kind-" + cell.k))),
      h("dl", { class: "d-facts" },
        row(t.word("drawer-why"), cell.r === undefined ? "" : t.of(data.notes[cell.r])),
        row(t.word("drawer-interval"), interval),
        row(t.word("drawer-within"), within),
        row(t.word("drawer-conditions"), option(cell.o)),
        row(t.word("drawer-evidence"), t.word("kind-" + cell.k) + ": " + t.word("means-" + cell.k)),
        row(t.word("drawer-sigma"), sigma),
        row(t.word("drawer-ratio"), cell.q ? t.significant(cell.q) : ""),
        row(t.word("drawer-source"), cell.e),
        row(t.word("drawer-notes"), notes.length || cell.t !== undefined ? notes.concat(cell.t === undefined ? [] : h("p", {}, data.texts[cell.t])) : "")),
      section(t.word("drawer-here"), here(cell)),
      section(t.word("drawer-sources"), cell.g ? h("ul", { class: "d-figures" }, cell.g.map(function (one) { return figure(one); })) : null),
      section(t.word("drawer-others"), lost.length ? others : null),
      section(t.word("drawer-measure"), measure(cell)),
    ];
  }
  function measure(cell) {
    if (cell.h === undefined) return null;
    var how = t.how(cell);
    return h("div", {}, how.command ? h("pre", { lang: "en", tabindex: "0" }, how.command) : null, h("p", { class: how.command ? "sub" : null }, how.said));
  }
  /* What the number does in the scenario that is shown. */
  function here(cell) {
    var view = context(), entry = view && view.entries.find(function (one) { return one.s === cell.s; }), said = [];
    if (!entry) return null;
    view.criteria.forEach(function (goal, at) {
      if (entry.cells[at] !== cell) return;
      said.push(h("p", {}, t.say("drawer-criterion", {
        percent: t.percent(goal.share), reject: t.shown(goal.reject, goal.metric, true), target: t.shown(goal.target, goal.metric, true), utility: entry.utilities[at].toFixed(2),
      })), h("p", { class: "sub" }, t.word("drawer-formula") + ": " + t.word("drawer-utility") + (cell.sd ? "; " + t.word("drawer-draw") : "")));
    });
    view.limits.forEach(function (limit, at) {
      var found = entry.findings[at];
      if (found.cell !== cell) return;
      said.push(h("p", {}, t.say("drawer-limit", { bound: t.bound(limit), state: t.word("state-" + found.state), percent: t.percent(found.probability) })));
      if (found.why) said.push(h("p", { class: "sub" }, t.of(found.why)));
    });
    return said.length ? h("div", {}, h("p", { class: "sub" }, t.of(view.scenario.title)), said) : null;
  }
  function button(cell) {
    return h("button", { type: "button", class: "d-cell", "data-cell": keyOf(cell) }, t.cellText(cell), " ", sign(cell.k));
  }
  function head(keys) {
    return h("thead", {}, h("tr", {}, keys.map(function (key) { return h("th", { scope: "col" }, t.word(key)); })));
  }
  function openSoc(place) {
    var view = context(), at = view.entries.findIndex(function (one) { return one.s === place; }), entry = view.entries[at];
    if (!entry) return;
    var title = t.of(view.scenario.title);
    var line = entry.out ? t.say("soc-out", { scenario: title }) :
      t.say("soc-place", { place: at + 1, of: view.entries.length, scenario: title, best: t.two(entry.best), feasible: t.two(entry.feasible), score: entry.score.toFixed(2) });
    var limits = h("table", { class: "d-table" }, head(["why-limit", "soc-value", "why-bound", "soc-state"]), h("tbody", {}, view.limits.map(function (limit, j) {
      var found = entry.findings[j];
      return h("tr", {}, h("th", { scope: "row" }, t.title(limit)), h("td", {}, button(found.cell)), h("td", {}, t.bound(limit)),
        h("td", { class: "d-state " + found.state.replace(" ", "-") }, socbench.tables.state(found), found.why ? h("span", { class: "line sub" }, t.of(found.why)) : null));
    })));
    var criteria = h("table", { class: "d-table" }, head(["why-criterion", "soc-value", "why-anchors", "soc-worth", "soc-contribution"]), h("tbody", {}, view.criteria.map(function (goal, j) {
      return h("tr", {}, h("th", { scope: "row" }, socbench.tables.swatch(j), t.title(goal)), h("td", {}, button(entry.cells[j])),
        h("td", {}, t.shown(goal.reject, goal.metric, true) + " / " + t.shown(goal.target, goal.metric, true)),
        h("td", { class: "num" }, entry.utilities[j].toFixed(2)), h("td", { class: "num" }, entry.parts[j].toFixed(3)));
    })));
    var wins = entry.central.length ? h("p", {}, t.word("soc-central"), ": ", t.join(view.criteria.map(function (goal, j) { return t.title(goal) + " " + t.percent(entry.central[j]); }))) : null;
    show(t.soc(place), [
      h("p", {}, line), h("p", { class: "sub" }, data.socs[place].vendor + (entry.pareto ? " · " + t.word("soc-pareto") : "")),
      section(t.word("soc-limits"), view.limits.length ? limits : null), section(t.word("soc-criteria"), criteria), wins,
      h("p", { class: "sub" }, t.word("drawer-utility")),
    ], function () { openSoc(place); });
  }
  return { init: init, keyOf: keyOf, sign: sign, find: find, open: openKey, openSoc: openSoc, option: option, source: source };
})();
