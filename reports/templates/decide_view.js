"use strict";
/* From the document to a view: {scenario, criteria, limits, entries, word, leader, ...} of one shape, as stated or for the reader's weights and limits. */
socbench.view = (function () {
  var engine = socbench.engine, MOST = 10;
  var data = null, state = null, market = null, marketOf = "", cellsBy = null;
  function use(document_) { data = document_; }
  /* The view of the state `chosen`; with advice only when the hand rests (`settled`). */
  function make(chosen, settled) {
    state = chosen;
    var scenario = scenarioOf(state.scenario);
    return adjusted(scenario) ? computed(scenario, settled) : stated(scenario);
  }
  function scenarioOf(id) {
    return data.scenarios.find(function (one) { return one.id === id; }) || data.scenarios[0];
  }
  function missing(place, limit) {
    return { s: place, m: limit.metric, w: limit.workload, k: "missing", x: data.socs[place].id + "/" + limit.id };
  }
  function cellOf(place, limit) {
    if (!cellsBy) {
      cellsBy = {};
      data.cells.forEach(function (cell) { cellsBy[cell.s + "|" + cell.m + "|" + (cell.w || "")] = cellsBy[cell.s + "|" + cell.m + "|" + (cell.w || "")] || cell; });
    }
    return cellsBy[place + "|" + limit.metric + "|" + (limit.workload || "")] || missing(place, limit);
  }
  /* Criteria and limits with what the reader has changed; a limit that is switched off is left out, one that is added comes last. */
  function demandOf(scenario) {
    var criteria = scenario.criteria.map(function (goal) {
      var set = state.weights[goal.id];
      return Object.assign({}, goal, { weight: set === undefined || set === null ? goal.weight : Math.min(Math.max(set, 0), top(scenario)) });
    });
    var sum = criteria.reduce(function (total, one) { return total + one.weight; }, 0);
    criteria.forEach(function (goal) { goal.share = sum > 0 ? goal.weight / sum : 1 / criteria.length; });
    var limits = [], known = {};
    scenario.limits.forEach(function (limit, at) {
      known[limit.id] = true;
      if (state.limits[limit.id] === null) return;
      limits.push(Object.assign({}, limit, { place: at, bound: state.limits[limit.id] === undefined ? limit.bound : state.limits[limit.id] }));
    });
    Object.keys(state.limits).forEach(function (id) {
      var asked = id.split(":")[0], workload = id.slice(asked.length + 1), metric = data.metrics[asked];
      if (known[id] || state.limits[id] === null || !metric) return;
      if (workload ? !scenario.criteria.some(function (goal) { return goal.id === id; }) : metric.of !== "part") return;
      limits.push({ id: id, metric: asked, workload: workload, sense: metric.better === "lower" ? "most" : "least", bound: state.limits[id], accept: "datasheet", place: -1 });
    });
    return { criteria: criteria, limits: limits };
  }
  function top(scenario) {
    var most = Math.max.apply(null, scenario.criteria.map(function (goal) { return goal.weight; }));
    return most <= MOST ? MOST : 10 * Math.ceil(most * 1.5 / 10); // weights that are stated as percentages have room upwards too
  }
  function adjusted(scenario) {
    var demand = demandOf(scenario);
    return demand.criteria.some(function (goal, at) { return goal.weight !== scenario.criteria[at].weight; }) ||
      demand.limits.length !== scenario.limits.length || demand.limits.some(function (limit) { return limit.place < 0 || limit.bound !== scenario.limits[limit.place].bound; });
  }
  function base(scenario, demand) {
    return { scenario: scenario, criteria: demand.criteria, limits: demand.limits, seed: scenario.seed };
  }
  function stated(scenario) {
    return Object.assign(base(scenario, demandOf(scenario)), {
      adjusted: false, word: scenario.word, leader: scenario.leader, shortlist: scenario.shortlist, none: scenario.none, draws: scenario.draws,
      entries: scenario.entries.map(function (one) {
        return {
          s: one.s, score: one.sc, best: one.b, feasible: one.f, ranks: one.r, utilities: one.u, parts: one.p, pareto: !!one.pf, thin: !!one.th, central: one.cw || [], out: !!one.out,
          limiting: one.lim || "", options: one.o, cells: one.g.map(function (place) { return data.cells[place]; }),
          findings: one.n.map(function (found) { return { state: found[0], probability: found[1], cell: data.cells[found[2]], why: data.notes[found[3]] }; }),
        };
      }),
      advice: scenario.advice.map(function (one) {
        return { s: one.s, m: one.m, w: one.w || "", flip: one.f, cell: one.c === undefined ? null : data.cells[one.c], how: data.notes[one.how] };
      }),
    });
  }
  function number(bound, other) {
    return bound === "inf" ? Infinity : bound === "-inf" ? -Infinity : bound === undefined ? other : bound;
  }
  function plain(cell) {
    if (!cell.plain) {
      var value = cell.v === undefined ? null : cell.v;
      cell.plain = { value: value, sigma: cell.sd || 0, sign: cell.sn || 1, floor: number(cell.f, value), ceil: number(cell.c, value), variable: cell.x, kind: cell.k };
    }
    return cell.plain;
  }
  function prepared(scenario, demand) {
    if (marketOf !== scenario.id) {
      market = engine.market([], String(scenario.seed), scenario.draws);
      marketOf = scenario.id;
    }
    market.rows = scenario.entries.map(function (one) {
      return {
        soc: data.socs[one.s].id, place: one.s, entry: one,
        goals: one.g.map(function (place) { return plain(data.cells[place]); }),
        bounds: demand.limits.map(function (limit) { return plain(limit.place < 0 ? cellOf(one.s, limit) : data.cells[one.n[limit.place][2]]); }),
      };
    });
    demand.limits.forEach(function (limit, j) {
      var chance = engine.chance(market.rows.map(function (row) { return row.bounds[j]; }), limit);
      market.rows.forEach(function (row) { if (row.bounds[j].value === null) row.bounds[j] = Object.assign({}, row.bounds[j], { chance: chance }); });
    });
    return market;
  }
  /* The view for the reader's weights and limits, computed here. Advice takes longer than a frame: it is left null until the hand rests. */
  function computed(scenario, settled) {
    var demand = demandOf(scenario), at = prepared(scenario, demand), concentration = scenario.concentration === null ? Infinity : scenario.concentration;
    var found = engine.decide(at, demand, { ranks: scenario.entries.length ? scenario.entries[0].r.length : 2, concentration: concentration, placed: data.placed });
    var places = {};
    at.rows.forEach(function (row) { places[row.soc] = row; });
    return Object.assign(base(scenario, demand), {
      adjusted: true, word: found.word, leader: found.leader ? places[found.leader].place : null, none: found.none_feasible, draws: found.draws,
      shortlist: found.shortlist.map(function (id) { return places[id].place; }),
      entries: found.entries.map(function (one) {
        var entry = places[one.soc].entry;
        return {
          s: entry.s, score: one.score, best: one.best, feasible: one.feasible, ranks: one.ranks, pareto: one.pareto, thin: !one.placed && !one.ruled_out, central: one.central, out: one.ruled_out,
          limiting: one.limiting, options: entry.o, cells: entry.g.map(function (place) { return data.cells[place]; }),
          utilities: one.parts.map(function (part) { return part.utility; }), parts: one.parts.map(function (part) { return part.contribution; }),
          findings: one.findings.map(function (found_, j) {
            var limit = demand.limits[j];
            return { state: found_.state, probability: found_.probability, cell: limit.place < 0 ? cellOf(entry.s, limit) : data.cells[entry.n[limit.place][2]] };
          }),
        };
      }),
      advice: settled ? engine.advise(at, demand, found).map(function (one) {
        var asked = demand.criteria.concat(demand.limits).find(function (item) { return item.id === one.id; }), place = places[one.soc].place;
        return { s: place, m: asked.metric, w: asked.workload || "", flip: one.flip, cell: cellOf(place, asked) };
      }) : null,
    });
  }
  /* Draws what `make` will need, a piece a step, so that the first move of a slider is as quick as the next. */
  function steps(view) {
    var scenario = view.scenario, demand = demandOf(scenario), found = engine.prepare(prepared(scenario, demand), demand);
    for (var i = 0; i < 3; i++) found.unshift(function () { if (marketOf === scenario.id) engine.decide(prepared(scenario, demand), demand, { ranks: MOST, placed: data.placed }); });
    return found;
  }
  return { use: use, make: make, steps: steps, cellOf: cellOf, demandOf: demandOf, top: top };
})();
