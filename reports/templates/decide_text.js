"use strict";
/* Words, numbers and elements of the Decide page. All text of the document goes through textContent. */
socbench.text = (function () {
  var THIN = "\u2009", GIB = 1073741824, HD = 1920 * 1080, UHD = 3840 * 2160;
  var data = null;

  function use(document) {
    data = document;
    data.cells.forEach(function (cell, at) { cell.at = at; });
  }
  function language() { return document.documentElement.dataset.lang === "zh" ? "zh" : "en"; }
  function word(key) { return data.words[language()][key]; }
  function say(key, values) {
    return word(key).replace(/\{(\w+)\}/g, function (_, name) { return values[name]; });
  }
  function of(texts) { return texts[language()]; }
  /* What would answer the question of a cell: the command, "" where none does, and the sentences about it. */
  function how(cell) {
    var found = data.hows[cell.h];
    return {
      command: found.c ? found.c + cell.w : "",
      said: found.n.map(function (one) { return say(one[0], Object.assign({ soc: soc(cell.s), workload: cell.w }, one[1])); }).join(language() === "en" ? " " : ""),
    };
  }
  function join(items) {
    if (items.length < 2) return items.join("");
    return say("and", { first: items.slice(0, -1).join(word("comma")), last: items[items.length - 1] });
  }

  // ---- numbers, as harness.quantity and harness.decide.shown write them

  function decimals(value, digits) {
    if (value === 0) return 0;
    return Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(Number(value.toPrecision(digits))))));
  }
  function grouped(written) {
    var parts = written.split(".");
    parts[0] = parts[0].replace(/\B(?=(\d{3})+$)/g, THIN);
    return parts.join(".").replace("-", "\u2212");
  }
  function significant(value, digits) {
    digits = digits || 3;
    return grouped(Number(value.toPrecision(digits)).toFixed(decimals(value, digits)));
  }
  var PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
  var PLAIN = { "1/s": "/s", "1": "", "USD": "USD", "°C": "°C", "years": "years", "dB": "dB" };
  /* The unit in which values about as large as `value` are best read: {factor, unit}; null where the metric is not said as a number. */
  function scale(metric, value) {
    var unit = data.metrics[metric].unit, size = Math.abs(value);
    if (metric === "safety" || metric === "w4a16") return null;
    if (metric === "memory" || metric === "peak_memory") return size >= GIB ? { factor: GIB, unit: "GiB" } : { factor: 1048576, unit: "MiB" };
    if (metric === "tops") return { factor: 1e12, unit: "TOPS" };
    if (unit === "px/s") return { factor: 1e6, unit: "Mpx/s" };
    if (unit === "years") return { factor: 1, unit: word("unit-years") };
    if (unit in PLAIN) return { factor: 1, unit: PLAIN[unit] };
    for (var i = 0; i < PREFIXES.length; i++) {
      if (unit === "s" && PREFIXES[i][0] > 1) continue;
      if (size >= PREFIXES[i][0] * 0.9995 || i === PREFIXES.length - 1) return { factor: PREFIXES[i][0], unit: PREFIXES[i][1] + unit };
    }
    return null;
  }
  var COUNTED = ["USD", "°C", "years", "1", "B", "op/s"]; // of these nobody writes 9.00
  /* [number, unit] of a value; `by` keeps a column in one unit; `round`: without zeros at the end, as a bound is stated. */
  function parts(value, metric, by, round) {
    if (metric === "safety") return [data.safety[Math.min(Math.max(Math.round(value), 0), data.safety.length - 1)], ""];
    if (metric === "w4a16") return [word(value >= 0.5 ? "drawer-yes" : "drawer-no"), ""];
    if (metric === "video_decode" || metric === "video_encode") {
      if (value <= 0) return [word("drawer-no"), ""];
      return [value >= 0.999 * 30 * UHD ? "4K" + Math.round(value / UHD) : "1080p" + Math.round(value / HD), ""];
    }
    var used = by || scale(metric, value || 1);
    var said = value === 0 ? "0" : significant(value / used.factor);
    if (said.indexOf(".") >= 0 && (round || COUNTED.indexOf(data.metrics[metric].unit) >= 0)) said = said.replace(/\.?0+$/, "");
    return [said, used.unit];
  }
  function shown(value, metric, round) {
    var found = parts(value, metric, null, round);
    return found[1] ? found[0] + THIN + found[1] : found[0];
  }
  /* What a cell says: "at most 399 USD" where only one side is known. */
  function cellText(cell) {
    if (cell.v === undefined) return word("drawer-none");
    var value = shown(cell.v, cell.m);
    if ((cell.f === "-inf" || cell.f === 0) && typeof cell.c === "number") return say("drawer-most", { high: shown(cell.c, cell.m) });
    if (cell.f !== undefined && cell.c === "inf") return say("drawer-least", { low: value });
    if (cell.f !== undefined && cell.f !== cell.c) {
      return say("drawer-between", { low: typeof cell.f === "number" ? shown(cell.f, cell.m) : "\u2212∞", high: typeof cell.c === "number" ? shown(cell.c, cell.m) : "∞" });
    }
    return value;
  }
  function percent(share) {
    var whole = Math.round(share * 100);
    if (share > 0 && whole === 0) return "< 1\u202f%";
    if (share < 1 && whole === 100) return "> 99\u202f%";
    return whole + "\u202f%";
  }
  function two(share) {
    if (share > 0 && share < 0.005) return "< 0.01";
    if (share < 1 && share >= 0.995) return "> 0.99";
    return share.toFixed(2);
  }
  function thousands(count) { return grouped(String(count)); }

  // ---- names

  function soc(place) { return data.socs[place].name; }
  function metric(id) { return of(data.metrics[id].title); }
  function title(one) {
    var id = one.metric || one.m, workload = one.workload || one.w;
    return workload ? say("of-workload", { metric: metric(id), workload: workload }) : metric(id);
  }
  function kinds(cells) {
    var counts = {};
    cells.forEach(function (cell) { counts[cell.k] = (counts[cell.k] || 0) + 1; });
    return Object.keys(data.signs).filter(function (kind) { return counts[kind]; }).map(function (kind) {
      return say("count-kind", { count: counts[kind], kind: word("kind-" + kind) });
    }).join(word("comma"));
  }
  function bound(limit, value) {
    return word(limit.sense === "most" ? "at-most" : "at-least") + THIN + shown(value === undefined ? limit.bound : value, limit.metric, true);
  }

  // ---- the answer: the same sentences as harness/decide/answer.py

  function answer(view) {
    var open = view.entries.filter(function (one) { return !one.out; }), first = open[0], led = view.leader !== null;
    var lines = led ? [rests(view, first), surest(view, first), runner(view, open), change(view), beware(view, first, open)] : [closest(view)];
    return { head: head(view, open, first), lines: lines.filter(function (one) { return one; }) };
  }
  function limitOf(view, id) { return view.limits.find(function (one) { return one.id === id; }); }
  function head(view, open, first) {
    if (view.leader === null) {
      var failed = view.limits.map(function (_, at) {
        return view.entries.filter(function (one) { return one.findings[at].state === "not met"; }).length;
      });
      var most = Math.max.apply(null, failed.concat(0));
      if (!most) return word("answer-nobody");
      return say("answer-nothing", { limit: title(view.limits[failed.indexOf(most)]), count: most, total: view.entries.length });
    }
    if (view.entries.length === 1) return say("answer-alone", { soc: soc(first.s), percent: percent(first.feasible) });
    if (view.word !== "shortlist") return say("answer-" + view.word, { soc: soc(first.s), percent: percent(first.best) });
    var best = {}, sum = 0, proven = view.entries.some(function (one) { return one.findings.every(function (found) { return found.state === "met"; }); });
    open.forEach(function (one) { best[one.s] = one.best; });
    view.shortlist.forEach(function (one) { sum += best[one]; });
    var names = view.shortlist.slice(0, 4).map(function (one) {
      return proven || !view.limits.length ? soc(one) : say("with-percent", { soc: soc(one), percent: percent(best[one]) });
    });
    if (view.shortlist.length > 4) names.push(say("further", { count: view.shortlist.length - 4 }));
    if (view.limits.length && !proven) return say("answer-unproven", { total: view.limits.length, list: join(names) });
    if (view.shortlist.length === 1) return say("answer-only", { soc: soc(view.shortlist[0]), percent: percent(best[view.shortlist[0]]) });
    return say("answer-shortlist", { list: join(names), percent: percent(sum) });
  }
  function rests(view, first) {
    var met = [], unsettled = [], said;
    view.limits.forEach(function (limit, at) {
      if (first.findings[at].state === "met") met.push(first.findings[at].cell);
      else unsettled.push(title(limit));
    });
    if (!view.limits.length) said = word("rests-free");
    else if (!unsettled.length) said = say("rests-all", { total: view.limits.length, kinds: kinds(met) });
    else if (met.length) said = say("rests-some", { met: met.length, total: view.limits.length, kinds: kinds(met), names: join(unsettled) });
    else said = say("rests-nothing", { total: view.limits.length, names: join(unsettled) });
    return [word("label-rests"), say("rests-criteria", { soc: soc(first.s), limits: said, kinds: kinds(first.cells) })];
  }
  function surest(view, first) {
    if (view.word !== "shortlist" || view.shortlist[0] === first.s) return null;
    return [word("label-surest"), say("surest", { soc: soc(first.s), feasible: percent(first.feasible), best: percent(first.best) })];
  }
  function runner(view, open) {
    var label = word("label-runner");
    if (open.length < 2) return [label, word("runner-none")];
    var first = open[0], second = open[1], values = { soc: soc(second.s), best: percent(second.best), leader: soc(first.s) };
    if (second.feasible < first.feasible - 0.1 && second.limiting) {
      values.limit = title(limitOf(view, second.limiting));
      values.feasible = percent(second.feasible);
      return [label, say("runner-feasible", values)];
    }
    var leads = first.parts.map(function (mine, at) { return mine - second.parts[at]; }), most = leads.indexOf(Math.max.apply(null, leads));
    if (leads[most] < 0.005) return [label, say("runner-close", values)];
    values.criterion = title(view.criteria[most]);
    values.ours = first.parts[most].toFixed(2);
    values.theirs = second.parts[most].toFixed(2);
    return [label, say("runner-ahead", values)];
  }
  function change(view) {
    if (!view.advice) return [word("label-change"), "…"]; // not computed while a slider moves
    var one = view.advice[0];
    if (!one) return [word("label-change"), word("change-none")];
    return [word("label-change"), say(one.w ? "change-workload" : "change-part", { soc: soc(one.s), metric: metric(one.m), workload: one.w, flip: percent(one.flip) })];
  }
  function closest(view) {
    var best = null, failed = [];
    view.entries.forEach(function (entry) {
      var fails = view.limits.filter(function (_, at) { return entry.findings[at].state === "not met"; });
      if (!best || fails.length < failed.length) { best = entry; failed = fails; }
    });
    return failed.length ? [word("label-closest"), say("closest", { soc: soc(best.s), limits: join(failed.map(title)) })] : null;
  }
  function beware(view, first, open) {
    var said = [], thin = open.filter(function (one) { return one.thin; });
    if (first.feasible < 0.95 && first.limiting) {
      said.push(say("beware-limit", { soc: soc(first.s), feasible: percent(first.feasible), limit: title(limitOf(view, first.limiting)) }));
    }
    if (view.none > 0.05) said.push(say("beware-none", { percent: percent(view.none) }));
    if (thin.length && !first.thin) {
      said.push(say("beware-thin", { count: thin.length, percent: percent(thin.reduce(function (sum, one) { return sum + one.best; }, 0)) }));
    }
    return said.length ? [word("label-beware"), said.join(word("stop"))] : null;
  }

  // ---- elements

  /* h("td", {class: "num", "data-x": 1, hidden: true}, child, "text", ...): attributes are set as attributes, text as text. */
  function h(tag, attributes) {
    return build(document.createElement(tag), attributes, arguments);
  }
  function s(tag, attributes) {
    return build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, arguments);
  }
  function build(made, attributes, all) {
    Object.keys(attributes || {}).forEach(function (name) {
      var value = attributes[name];
      if (value === undefined || value === null || value === false) return;
      made.setAttribute(name, value === true ? "" : String(value));
    });
    for (var i = 2; i < all.length; i++) put(made, all[i]);
    return made;
  }
  function put(into, child) {
    if (child === null || child === undefined || child === false) return;
    if (Array.isArray(child)) child.forEach(function (one) { put(into, one); });
    else into.appendChild(typeof child === "object" ? child : document.createTextNode(String(child)));
  }
  /* The content of the element `id`: elements, text, or lists of them. */
  function fill(id) {
    var into = document.getElementById(id), rest = Array.prototype.slice.call(arguments, 1);
    into.replaceChildren();
    rest.forEach(function add(one) {
      if (Array.isArray(one)) one.forEach(add);
      else if (one || one === 0) into.appendChild(typeof one === "object" ? one : document.createTextNode(one));
    });
  }
  /* A link to a source, or its text where there is no address that may be opened. */
  function link(url, text) {
    return /^https?:\/\//.test(url || "") ? h("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, text) : h("span", {}, text);
  }
  return {
    use: use, language: language, word: word, say: say, how: how, of: of, join: join, significant: significant, scale: scale, parts: parts, shown: shown,
    cellText: cellText, percent: percent, two: two, thousands: thousands, soc: soc, metric: metric, title: title, bound: bound, answer: answer,
    h: h, s: s, fill: fill, link: link, decimals: decimals, THIN: THIN,
  };
})();
