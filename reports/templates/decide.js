"use strict";
/* The Decide page: reads its state from the address, shows the decision as stated or as the reader has adjusted it, and follows while a slider moves. */
document.addEventListener("DOMContentLoaded", function () {
  var source = document.getElementById("payload"), live = document.getElementById("decide-live");
  if (!source || !live) return;
  var data = JSON.parse(source.textContent), t = socbench.text, h = t.h, tables = socbench.tables;
  var SETTLE = 200, FOOTNOTED = 8, CITED = 24;
  var state = socbench.state.read(), view = null, frame = 0, settling = 0, saving = 0, spoken = "", drawn = "";
  var fill = t.fill, cellOf = socbench.view.cellOf, demandOf = socbench.view.demandOf, top = socbench.view.top;
  function $(id) { return document.getElementById(id); }

  t.use(data);
  socbench.view.use(data);
  socbench.panel.use(data);
  tables.use(data);
  socbench.drawer.init(data, function () { return view; });
  if (!data.scenarios.length) return;
  live.hidden = false;
  $("decide-still").hidden = true;
  if (window.matchMedia("(max-width: 60rem)").matches) $("d-adjust").open = false;

  // ---- what changes with every move of a slider

  function wordOf(scenario) {
    if (scenario.word === "shortlist") return t.word("word-shortlist") + " · " + t.say("word-shortlist-of", { count: scenario.shortlist.length });
    return t.word("word-" + scenario.word);
  }
  function showAnswer() {
    var said = t.answer(view);
    fill("d-answer", h("p", { class: "d-verdict " + view.word }, h("b", { class: "d-badge" }, wordOf(view)), h("span", { class: "d-sentence" }, said.head)),
      h("dl", { class: "d-lines" }, said.lines.map(function (line) { return h("div", {}, h("dt", {}, line[0]), h("dd", {}, line[1])); })));
    fill("d-basis", view.adjusted ? t.say("adjusted", { draws: t.thousands(view.draws) }) : t.say("stated", { draws: t.thousands(view.draws), date: view.scenario.as_of }));
    $("d-basis").classList.toggle("changed", view.adjusted);
    $("d-reset").hidden = !view.adjusted;
    fill("d-caption", t.say("ranking-caption", { draws: t.thousands(view.draws) }));
    fill("d-survey", survey());
    fill("d-running", tables.running(view));
  }
  function survey() {
    var asked = view.scenario.survey, open = view.entries, said = "", best = null, limit;
    var names = asked.socs.map(function (one) { return typeof one === "number" ? t.soc(one) : one; });
    asked.socs.forEach(function (place) {
      var entry = open.find(function (one) { return one.s === place; });
      if (entry && (!best || entry.out < best.out || (entry.out === best.out && entry.best > best.best))) best = entry;
    });
    if (!asked.socs.length) said = "";
    else if (!best) said = t.word("survey-absent");
    else if (best.out) {
      limit = view.limits[best.findings.findIndex(function (one) { return one.state === "not met"; })];
      said = t.say("survey-out", { soc: t.soc(best.s), limit: t.title(limit) });
    } else if (best.s === view.leader) said = t.say("survey-agrees", { soc: t.soc(best.s) });
    else if (view.shortlist.indexOf(best.s) >= 0) said = t.say("survey-partly", { soc: t.soc(best.s) });
    else said = t.say("survey-open", { soc: t.soc(best.s), best: t.two(best.best) });
    return h("p", { class: "d-note" }, h("span", { class: "d-label" }, t.word("survey")), " ",
      (names.length ? t.join(names) : t.word("survey-none")) + (asked.frameworks.length ? " (" + asked.frameworks.join(", ") + ")" : ""), ". ", h("span", {}, said));
  }
  /* Why a row is filtered out: "value", "unknown" or "". Filters hide rows; they change no probability. */
  function refused(entry) {
    if (state.vendor && data.socs[entry.s].vendor !== state.vendor) return "value";
    var why = "";
    [["price", 1], ["power", 1], ["safety", -1]].forEach(function (one) {
      if (state[one[0]] === null) return;
      var cell = cellOf(entry.s, { metric: one[0], workload: "", id: one[0] });
      if (cell.v === undefined) why = why || "unknown";
      else if (one[1] * (cell.v - state[one[0]]) > 0) why = "value";
    });
    return why;
  }
  /* Rows are made anew where limits, filters or language change; where only weights do, they follow. `whole`: with the words behind the bars. */
  function showRanking(whole) {
    var shown = view.entries.filter(function (one) { return state.out || !one.out; }), out = view.entries.filter(function (one) { return one.out; }), hidden = 0, unknown = 0;
    shown = shown.filter(function (one) {
      var why = refused(one);
      if (why) hidden++;
      if (why === "unknown") unknown++;
      return !why;
    });
    var ordered = tables.sorted(shown, view, state.sort), body = $("d-rank-body"), held = document.activeElement && document.activeElement.closest("#d-rank-body") ? document.activeElement.dataset : null;
    var signature = [view.scenario.id, t.language(), shown.map(function (one) { return one.s; }).sort().join(), view.limits.map(function (one) { return one.id + one.bound; }).join()].join(";");
    if (signature === drawn) {
      var rows = {};
      Array.prototype.forEach.call(body.children, function (row) { rows[row.dataset.row] = row; });
      ordered.forEach(function (entry, at) {
        tables.follow(rows[entry.s], entry, view, whole);
        if (body.children[at] !== rows[entry.s]) body.insertBefore(rows[entry.s], body.children[at] || null);
      });
      if (held) refocus(held);
      return;
    }
    drawn = signature;
    fill("d-rank-body", tables.rows(ordered, view, null));
    if (held) refocus(held);
    fill("d-hidden", hidden ? t.say("hidden-rows", { count: hidden }) + (unknown ? " " + t.say("hidden-unknown", { count: unknown }) : "") : "",
      ordered.length ? "" : " " + t.word(out.length === view.entries.length ? "all-out" : "none-shown"));
    out = out.filter(function (one) { return refused(one) !== "value"; });
    $("d-ruled").hidden = !out.length || state.out;
    fill("d-ruled-title", t.say("ruled-out", { count: out.length }));
    fill("d-ruled-body", tables.ruledOut(out, view));
  }
  /* On paper the sources stand under the tables. */
  function forPaper() {
    if (!$("decide-live").offsetWidth) return;
    var ordered = Array.prototype.map.call($("d-rank-body").children, function (row) {
      return view.entries.find(function (one) { return String(one.s) === row.dataset.row; });
    });
    fill("d-rank-body", tables.rows(ordered, view, footnote(ordered)));
  }
  /* A table that fits needs no window of its own, and its head can stay under the bar. */
  function fit() {
    var table = $("d-rank"), box = table.parentNode;
    box.classList.remove("fits");
    box.classList.toggle("fits", table.offsetWidth > 0 && table.offsetWidth <= box.clientWidth);
  }
  function refocus(held) {
    var name = held.cell ? "cell" : "dossier", found = Array.prototype.find.call(document.querySelectorAll("#d-rank-body [data-" + name + "]"), function (one) { return one.dataset[name] === held[name]; });
    if (found) found.focus({ preventScroll: true });
  }
  /* On paper the sources stand under the tables: the number beside a value, and the list. */
  function footnote(ordered) {
    var places = {}, list = [], rows = {};
    ordered.slice(0, FOOTNOTED).forEach(function (one) { rows[one.s] = true; });
    function numbered(cell) {
      if (!rows[cell.s] || !cell.g) return null;
      return cell.g.slice(0, 2).map(function (place) {
        var source_ = data.figures[place].s;
        if (source_ === undefined) return null;
        if (places[source_] === undefined) {
          if (list.length >= CITED) return null;
          places[source_] = list.push(source_);
        }
        return places[source_];
      }).filter(function (one, at, all) { return one !== null && all.indexOf(one) === at; });
    }
    ordered.slice(0, FOOTNOTED).forEach(function (one) { one.findings.forEach(function (found) { numbered(found.cell); }); });
    fill("d-foot", list.length ? [h("h3", {}, t.word("footnotes")), h("ol", {}, list.map(function (place) { return h("li", {}, socbench.drawer.source(place)); }))] : "");
    return function (cell) {
      var numbers = numbered(cell);
      return numbers && numbers.length ? h("sup", { class: "d-sup" }, numbers.join(",")) : null;
    };
  }

  // ---- what changes when the hand rests: plot, advice, the address, what is read out

  function showPlot() {
    $("d-plot-title").parentNode.hidden = !socbench.panel.show(view, state, refused);
  }
  function save(push) {
    clearTimeout(saving);
    saving = 0;
    if (!socbench.state.here()) return;
    var wanted = socbench.state.write(state);
    if (wanted !== location.hash) history[push ? "pushState" : "replaceState"](null, "", wanted);
  }
  function say() {
    var now = view.leader === null ? t.word("nothing-now") : t.say("leader-now", { soc: t.soc(view.leader), best: t.two(view.entries[0].best) });
    if (now !== spoken) $("d-said").textContent = now;
    spoken = now;
  }
  function settle() {
    settling = 0;
    view = socbench.view.make(state, true);
    showAnswer();
    showRanking(true);
    fit();
    showPlot();
    fill("d-advice", tables.advice(view));
    say();
    save(false);
    live.setAttribute("aria-busy", "false");
  }
  /* After a change of weights or limits: one drawing a frame, the rest when the hand rests. */
  function moved() {
    live.setAttribute("aria-busy", "true");
    if (!frame) {
      frame = requestAnimationFrame(function () {
        frame = 0;
        view = socbench.view.make(state, false);
        showAnswer();
        showRanking(false);
        followControls();
      });
    }
    clearTimeout(settling);
    settling = setTimeout(settle, SETTLE);
  }

  // ---- controls

  function showControls() {
    var scenario = view.scenario;
    var weights = view.criteria.map(function (goal, at) {
      var id = "d-w-" + at;
      return h("div", { class: "d-weight" },
        h("label", { for: id }, tables.swatch(at), h("span", { class: "hidden" }, t.word("weights") + ": "), t.title(goal)), h("output", { for: id, "data-share": at }, ""),
        h("input", { type: "range", id: id, min: 0, max: top(scenario), step: top(scenario) > 10 ? 1 : 0.5, value: goal.weight, "data-weight": goal.id }),
        h("span", { class: "sub" }, t.say("anchors", { reject: t.shown(goal.reject, goal.metric, true), target: t.shown(goal.target, goal.metric, true) })));
    });
    var limits = scenario.limits.map(function (limit) { return field(limit, state.limits[limit.id] === undefined ? limit.bound : state.limits[limit.id]); });
    view.limits.forEach(function (limit) { if (limit.place < 0) limits.push(field(limit, limit.bound)); });
    var asked = scenario.criteria.filter(function (goal) { return goal.workload; }).map(function (goal) { return goal.id; });
    var more = asked.concat(Object.keys(data.metrics).filter(function (id) { return data.metrics[id].of === "part"; })).filter(function (id) {
      return !view.limits.some(function (limit) { return limit.id === id; }) && !scenario.limits.some(function (limit) { return limit.id === id; }) &&
        view.entries.some(function (entry) { return cellOf(entry.s, questionOf(id)).v !== undefined; });
    });
    fill("d-controls", h("fieldset", { class: "d-weights" }, h("legend", {}, t.word("weights")), weights),
      h("fieldset", { class: "d-limits" }, h("legend", {}, t.word("limits")), limits,
        more.length ? h("div", { class: "d-field" }, h("label", { for: "d-add" }, t.word("add-limit")), h("select", { id: "d-add" }, h("option", { value: "" }, "–"), more.map(function (id) { return h("option", { value: id }, t.title(questionOf(id))); }))) : null));
    followControls();
  }
  /* "decode:llama-3.2-1b", "power" -> what is asked. */
  function questionOf(id) {
    var metric = id.split(":")[0];
    return { id: id, metric: metric, workload: id.slice(metric.length + 1) };
  }
  function scaleOf(limit) {
    return t.scale(limit.metric, limit.bound || 1) || { factor: 1, unit: "" };
  }
  function field(limit, bound) {
    var id = "d-l-" + limit.id.replace(/[^\w]/g, "-"), by = scaleOf(limit), sense = t.word(limit.sense === "most" ? "at-most" : "at-least"), input;
    if (limit.metric === "safety" || limit.metric === "w4a16") {
      var levels = limit.metric === "safety" ? data.safety.slice(1) : [t.word("drawer-yes")];
      input = h("select", { id: id, "data-limit": limit.id }, h("option", { value: "" }, t.word("no-limit")), levels.map(function (name, at) { return h("option", { value: at + 1, selected: bound === at + 1 }, name); }));
    } else {
      input = h("input", { type: "number", step: "any", id: id, "data-limit": limit.id, "data-factor": by.factor, value: bound === null ? "" : Number((bound / by.factor).toPrecision(6)), placeholder: t.word("no-limit") });
    }
    return h("div", { class: "d-field", title: t.say("accepts", { kind: t.word("kind-" + limit.accept) }) }, h("label", { for: id }, t.title(limit)),
      h("span", { class: "d-entry" }, sense, " ", input, " ", by.unit));
  }
  function followControls() {
    document.querySelectorAll("#d-controls output").forEach(function (one) { one.textContent = t.percent(view.criteria[Number(one.dataset.share)].share); });
  }
  function showFilters() {
    var vendors = {}, clear = state.vendor || state.price !== null || state.power !== null || state.safety !== null || state.out;
    view.scenario.entries.forEach(function (one) { vendors[data.socs[one.s].vendor] = true; });
    fill("d-filters", h("span", { class: "d-label" }, t.word("filters")),
      h("label", {}, t.word("filter-vendor") + " ", h("select", { "data-filter": "vendor" }, h("option", { value: "" }, t.word("filter-all")), Object.keys(vendors).sort().map(function (name) { return h("option", { value: name, selected: name === state.vendor }, name); }))),
      h("label", {}, t.word("filter-price") + " ", h("input", { type: "number", min: 0, "data-filter": "price", value: state.price })),
      h("label", {}, t.word("filter-power") + " ", h("input", { type: "number", min: 0, "data-filter": "power", value: state.power })),
      h("label", {}, t.word("filter-safety") + " ", h("select", { "data-filter": "safety" }, h("option", { value: "" }, t.word("filter-all")), data.safety.slice(1).map(function (name, at) { return h("option", { value: at + 1, selected: state.safety === at + 1 }, name); }))),
      h("label", { class: "d-check" }, h("input", { type: "checkbox", "data-filter": "out", checked: state.out }), " " + t.word("filter-out")),
      clear ? h("button", { type: "button", class: "plain", id: "d-clear" }, t.word("filter-clear")) : null);
  }
  function showScenes() {
    fill("d-scenes", data.scenarios.map(function (one) {
      var here = one === view.scenario, now = here ? view : one, best = now.leader === null ? null : (here ? view.entries[0].best : (one.entries[0] || {}).b);
      return h("li", {}, h("a", { href: "#decide?s=" + encodeURIComponent(one.id), "aria-current": here ? "true" : null },
        h("span", { class: "d-scene" }, t.of(one.title)),
        h("span", { class: "d-under" }, now.word === "shortlist" ? wordOf(now) : now.leader === null ? t.word("word-nothing") : t.soc(now.leader) + " · " + t.word("word-" + now.word) + " · " + t.two(best))));
    }));
    fill("d-pick", data.scenarios.map(function (one) { return h("option", { value: one.id, selected: one === view.scenario }, t.of(one.title)); }));
  }
  function showAll() {
    view = socbench.view.make(state, true);
    fill("d-title", t.of(view.scenario.title));
    fill("d-product", t.of(view.scenario.product));
    showScenes();
    showAnswer();
    showControls();
    showFilters();
    fill("d-rank-head", tables.head(view, state.sort));
    drawn = "";
    showRanking(true);
    fill("d-marks", tables.marks());
    showPlot();
    fill("d-advice", tables.advice(view));
    fill("d-reasons", tables.reasons(view));
    fit();
    spoken = "";
    warm();
  }
  /* Draws the utilities while nothing else happens, so that the first move of a slider is as quick as the next. */
  function warm() {
    var scenario = view.scenario, steps = socbench.view.steps(view);
    var wait = window.requestIdleCallback || function (then) { return setTimeout(function () { then({ timeRemaining: function () { return 8; } }); }, 30); };
    wait(function some(left) {
      while (steps.length && left.timeRemaining() > 2) steps.pop()();
      if (steps.length && view.scenario === scenario) wait(some);
    });
  }

  // ---- events

  live.addEventListener("input", function (event) {
    var one = event.target;
    if (one.dataset.weight) {
      state.weights[one.dataset.weight] = Number(one.value);
      unchanged();
      moved();
    } else if (one.dataset.limit) {
      var value = one.value === "" ? null : Number(one.value) * Number(one.dataset.factor || 1);
      if (value !== null && !isFinite(value)) return;
      state.limits[one.dataset.limit] = value === null ? null : Number(value.toPrecision(12));
      unchanged();
      fill("d-rank-head", tables.head(Object.assign({}, view, demandOf(view.scenario)), state.sort));
      moved();
    } else if (one.dataset.filter) {
      filter(one);
    }
  });
  /* What is set to what is stated is no change. */
  function unchanged() {
    var scenario = view.scenario;
    scenario.criteria.forEach(function (goal) { if (state.weights[goal.id] === goal.weight) delete state.weights[goal.id]; });
    scenario.limits.forEach(function (limit) {
      var set = state.limits[limit.id];
      if (set !== undefined && set !== null && Math.abs(set - limit.bound) <= 1e-9 * Math.abs(limit.bound)) delete state.limits[limit.id];
    });
  }
  function filter(one) {
    var name = one.dataset.filter;
    if (name === "out") state.out = one.checked;
    else if (name === "vendor") state.vendor = one.value;
    else state[name] = one.value === "" || !isFinite(Number(one.value)) ? null : Number(one.value);
    showRanking(true);
    showPlot();
    if (!$("d-clear") || name === "out") refresh(showFilters);
    clearTimeout(saving);
    saving = setTimeout(save, SETTLE, false);
  }
  /* Makes a part of the page anew and gives the focus back to the element that had it. */
  function refresh(make_) {
    var held = document.activeElement, key = held && held.dataset ? ["filter", "sort", "limit", "weight"].find(function (name) { return held.dataset[name]; }) : null, value = key && held.dataset[key];
    make_();
    if (!key) return;
    var found = Array.prototype.find.call(live.querySelectorAll("[data-" + key + "]"), function (one) { return one.dataset[key] === value; });
    if (found) found.focus({ preventScroll: true });
  }
  live.addEventListener("change", function (event) {
    if (event.target.id === "d-plot-pick") {
      state.plot = event.target.value;
      showPlot();
      $("d-plot-pick").focus({ preventScroll: true });
      save(false);
    } else if (event.target.id === "d-pick") {
      location.hash = socbench.state.write({ scenario: event.target.value, weights: {}, limits: {}, vendor: "", price: null, power: null, safety: null, out: false, sort: "", plot: "" });
    } else if (event.target.id === "d-add" && event.target.value) {
      var id = event.target.value, cells = view.entries.map(function (entry) { return cellOf(entry.s, questionOf(id)).v; }).filter(function (one) { return one !== undefined; });
      cells.sort(function (a, b) { return a - b; });
      state.limits[id] = data.metrics[questionOf(id).metric].limit && id !== "temperature_min" && id !== "temperature_max" ? 1 : Number(cells[Math.floor(cells.length / 2)].toPrecision(2));
      showAll();
      save(false);
      var made = live.querySelector('[data-limit="' + id + '"]');
      if (made) made.focus();
    }
  });
  live.addEventListener("click", function (event) {
    var sort = event.target.closest("[data-sort]");
    if (sort) {
      state.sort = state.sort === sort.dataset.sort ? "-" + sort.dataset.sort : sort.dataset.sort;
      refresh(function () { fill("d-rank-head", tables.head(view, state.sort)); });
      showRanking(true);
      save(false);
    } else if (event.target.closest("#d-reset")) {
      state.weights = {};
      state.limits = {};
      showAll();
      save(false);
      say();
      $("d-title").focus({ preventScroll: true });
    } else if (event.target.closest("#d-clear")) {
      Object.assign(state, { vendor: "", price: null, power: null, safety: null, out: false });
      showFilters();
      showRanking(true);
      showPlot();
      save(false);
      live.querySelector("[data-filter]").focus();
    } else if (event.target.closest("#d-csv")) copy(event.target.closest("#d-csv"));
  });
  function copy(button) {
    function told(good) {
      var before = Array.prototype.slice.call(button.childNodes);
      button.replaceChildren(t.word(good ? "copied" : "not-copied"));
      $("d-said").textContent = button.textContent;
      setTimeout(function () { button.replaceChildren.apply(button, before); }, 2000);
    }
    function byHand() {
      var area = document.createElement("textarea"), good = false;
      area.value = button.csv;
      button.parentNode.appendChild(area);
      area.select();
      try { good = document.execCommand("copy"); } catch (error) { good = false; }
      area.remove();
      told(good);
    }
    if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(button.csv).then(function () { told(true); }, byHand);
    else byHand();
  }
  function arrived() {
    var reasons = document.getElementById("evidence");
    if (reasons.open) reasons.close();  // the browser's Back, from a SoC that was opened by a link
    if (!socbench.state.here()) return;
    state = socbench.state.read();
    showAll();
    openAsked();
  }
  /* The SoC that a link from the matrix or the catalogue asks for; closed, the focus is on the title of its scenario. */
  function openAsked() {
    var place = state.soc ? data.socs.findIndex(function (one) { return one.id === state.soc; }) : -1;
    if (place < 0 || !socbench.state.here()) return;
    socbench.drawer.openSoc(place);
  }
  window.addEventListener("beforeprint", forPaper);
  window.addEventListener("resize", fit);
  socbench.plot.phone.addEventListener("change", function () { showAll(); });
  document.addEventListener("socbench:page", fit);
  window.addEventListener("hashchange", arrived);
  window.addEventListener("popstate", arrived);
  document.addEventListener("socbench:lang", function () {
    showAll();
  });
  showAll();
  openAsked();
});
