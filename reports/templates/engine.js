"use strict";
/* The decision as harness/decide/decision.py makes it, for weights and limits as the reader sets them. Pure functions, no page.
 *
 * A draw of an uncertain quantity depends on the seed and its name only. The N standard normals of a name are the N quantiles
 * Phi^-1((k + 1/2) / N) in a shuffled order, so a stream is kept as the order alone: Uint16Array of k.
 */
socbench.engine = (function () {
  var normals = socbench.random.normals, order = socbench.random.order, gammas = socbench.random.gammas, proposals = socbench.random.proposals;
  var STRENGTH = ["measured", "published", "datasheet", "claimed", "estimated", "missing"];
  var MET = 0.95, NOT_MET = 0.05, CONCENTRATION = 12, SURE = 0.9, LEADING = 0.6;
  var CONSIDERED = 12, BINS = 10, ADVICE = 5, LEAST_GAIN = 1e-4, KEPT = 2000;

  // ---- a market: the SoCs of a scenario and what does not change while weights and limits do

  /* rows: [{soc, goals: [cell], bounds: [cell]}], in the order of demand.criteria and demand.limits.
   * cell: {value: number | null, sigma, sign, floor, ceil, variable, kind}. */
  function market(rows, seed, n) {
    return { rows: rows, seed: seed, n: n, table: normals(n), orders: {}, utilities: {}, proposals: {}, findings: {}, kept: 0, buffers: {} };
  }
  function stream(at, name) {
    return at.orders[name] || (at.orders[name] = order(at.seed + "/" + name, at.n));
  }
  /* The utility at quantile k of the cell's variable: 0 at reject, 1 at target, by the logarithm; uniform where nothing is known. */
  function level(at, cell, goal, k) {
    if (cell.value === null) return (k + 0.5) / at.n;
    return clip((Math.log(cell.value / goal.reject) + cell.sigma * cell.sign * at.table[k]) / Math.log(goal.target / goal.reject));
  }
  /* The utility in each draw; an array of one where it is certain. */
  function utility(at, cell, goal) {
    var key = [cell.variable, cell.value, cell.sigma, cell.sign, goal.reject, goal.target].join(" "), found = at.utilities[key];
    if (found) return found;
    if (cell.value !== null && !(cell.sigma > 0)) found = new Float32Array([level(at, cell, goal, 0)]);
    else {
      var ks = stream(at, cell.variable), span = Math.log(goal.target / goal.reject), start = 0, slope = 0, k;
      found = new Float32Array(at.n);
      if (cell.value === null) for (k = 0; k < at.n; k++) found[k] = (ks[k] + 0.5) / at.n;
      else {
        start = Math.log(cell.value / goal.reject) / span;
        slope = cell.sigma * cell.sign / span;
        for (k = 0; k < at.n; k++) found[k] = clip(start + slope * at.table[ks[k]]);
      }
    }
    at.utilities[key] = found;
    return found;
  }
  function clip(u) { return u < 0 ? 0 : u > 1 ? 1 : u; }

  /* Whether evidence is a claim where the limit asks for better: then it decides nothing, for it may be true. */
  function onlyClaimed(cell, bound) {
    return cell.kind === "claimed" && STRENGTH.indexOf("claimed") > STRENGTH.indexOf(bound.accept);
  }
  /* Whether a cell meets a bound at the standard normal number z: 1 met, 0 not met, -1 not decided. */
  function standing(cell, bound, z) {
    if (cell.value === null) return -1;
    var stretch = cell.sigma > 0 ? Math.exp(cell.sigma * cell.sign * z) : 1, low = cell.floor * stretch, high = cell.ceil * stretch;
    var surely = bound.sense === "most" ? high <= bound.bound : low >= bound.bound;
    if (surely) return onlyClaimed(cell, bound) ? -1 : 1;
    return (bound.sense === "most" ? low > bound.bound : high < bound.bound) ? 0 : -1;
  }
  /* How likely a limit is met where the cell leaves it open: a fair coin, unless nothing is known but what the others meet. */
  function chanceOf(cell) { return cell.value === null && cell.chance !== undefined ? cell.chance : 0.5; }
  /* How likely a part of which nothing is known meets a bound: as often as the others do, by Laplace's rule; of functional safety, silence
   * counts as none. As harness/decide/market.py. */
  function chance(cells, bound) {
    var known = cells.filter(function (one) { return one.value !== null || bound.metric === "safety"; }), met = 0;
    known.forEach(function (one) {
      if (one.value === null) return;
      var most = bound.sense === "most", yes = most ? one.ceil <= bound.bound : one.floor >= bound.bound, no = most ? one.floor > bound.bound : one.ceil < bound.bound;
      met += yes ? 1 : no ? 0 : 0.5;
    });
    return (met + 1) / (known.length + 2);
  }
  /* Whether a cell meets a bound in each draw, and the share of them: a coin where the draw leaves it open. */
  function meets(at, cell, bound) {
    var n = at.n, met = new Uint8Array(n), count = 0, coin = null, chance = chanceOf(cell), k, found;
    if (cell.value === null || !(cell.sigma > 0)) {
      found = standing(cell, bound, 0);
      if (found === 1) met.fill(1);
      if (found >= 0) return { met: met, share: found };
      coin = stream(at, "?" + cell.variable);
      for (k = 0; k < n; k++) if (coin[k] >= Math.round(n * (1 - chance))) { met[k] = 1; count++; }
      return { met: met, share: count / n };
    }
    var ks = stream(at, cell.variable), levels = new Int8Array(n);
    for (k = 0; k < n; k++) levels[k] = standing(cell, bound, at.table[k]);
    for (k = 0; k < n; k++) {
      found = levels[ks[k]];
      if (found < 0) {
        coin = coin || stream(at, "?" + cell.variable);
        found = coin[k] >= Math.round(n * (1 - chance)) ? 1 : 0;
      }
      if (found) { met[k] = 1; count++; }
    }
    return { met: met, share: count / n };
  }
  function finding(at, cell, bound) {
    var key = [cell.variable, cell.value, cell.sigma, cell.sign, cell.floor, cell.ceil, bound.sense, bound.bound, onlyClaimed(cell, bound), chanceOf(cell)].join(" "), found = at.findings[key];
    if (!found) {
      if (at.kept++ > KEPT) { at.findings = {}; at.kept = 0; }
      found = at.findings[key] = meets(at, cell, bound);
    }
    var p = found.share, state;
    if (STRENGTH.indexOf(cell.kind) > STRENGTH.indexOf(bound.accept)) state = p <= NOT_MET && cell.value !== null ? "not met" : "unknown";
    else state = p >= MET && cell.value !== null ? "met" : p <= NOT_MET && cell.value !== null ? "not met" : "unknown";
    return { limit: bound.id, state: state, probability: p, met: found.met };
  }

  /* The weights in each draw, one array a criterion: Dirichlet(concentration * w) by normalised gammas. */
  function dirichlet(at, criteria, concentration) {
    var total = criteria.reduce(function (sum, one) { return sum + one.weight; }, 0), n = at.n, sums = new Float32Array(n), k;
    var found = criteria.map(function (one) {
      var share = total > 0 ? one.weight / total : 1 / criteria.length, name = at.seed + "/w/" + one.id;
      if (concentration === Infinity) return new Float32Array(n).fill(share);
      return gammas(at.proposals[name] || (at.proposals[name] = proposals(name, n, at.table)), concentration * share, n);
    });
    found.forEach(function (one) { for (k = 0; k < n; k++) sums[k] += one[k]; });
    found.forEach(function (one) { for (k = 0; k < n; k++) one[k] /= sums[k]; });
    return found;
  }
  function mean(values) {
    var sum = 0;
    for (var k = 0; k < values.length; k++) sum += values[k];
    return sum / values.length;
  }

  /* An array of n that is used again by the next call: collecting 100 of them costs more than filling them. */
  function buffer(at, name, Kind) {
    return at.buffers[name] || (at.buffers[name] = new Kind(at.n));
  }
  function add(value, weight, u) {
    var n = value.length, k;
    if (u.length === 1) {
      var constant = u[0];
      if (constant > 0) for (k = 0; k < n; k++) value[k] += weight[k] * constant;
    } else for (k = 0; k < n; k++) value[k] += weight[k] * u[k];
  }
  /* value += sum of weights * utilities, three at a time: fewer passes over the draws. */
  function sum(value, weights, utilities) {
    var whole = weights.map(function (_, j) { return j; }).filter(function (j) { return utilities[j].length > 1; }), at = 0;
    weights.forEach(function (weight, j) { if (utilities[j].length === 1) add(value, weight, utilities[j]); });
    for (; at + 3 <= whole.length; at += 3) {
      add3(value, weights[whole[at]], utilities[whole[at]], weights[whole[at + 1]], utilities[whole[at + 1]], weights[whole[at + 2]], utilities[whole[at + 2]]);
    }
    for (; at < whole.length; at++) add(value, weights[whole[at]], utilities[whole[at]]);
  }
  function add3(value, w0, u0, w1, u1, w2, u2) {
    for (var k = 0, n = value.length; k < n; k++) value[k] += w0[k] * u0[k] + w1[k] * u1[k] + w2[k] * u2[k];
  }
  /* The sum over the draws of the mask; the others become -1. */
  function total(value, mask) {
    var sum = 0;
    for (var k = 0; k < value.length; k++) { if (mask[k]) sum += value[k]; else value[k] = -1; }
    return sum;
  }
  function both(mask, met) {
    for (var k = 0; k < mask.length; k++) mask[k] &= met[k];
  }

  // ---- the decision

  /* demand: {criteria: [{id, reject, target, weight}], limits: [{id, sense: "most" | "least", bound, accept}]}.
   * options: {ranks, concentration, placed}. Gives the fields of a Decision that numbers decide. */
  function decide(at, demand, options) {
    var n = at.n, k;
    var depth = (options && options.ranks) || 6;
    var weights = dirichlet(at, demand.criteria, (options && options.concentration) || CONCENTRATION);
    var mass = weights.map(mean);
    var entries = at.rows.map(function (row) {
      var feasible = buffer(at, "mask " + row.soc, Uint8Array).fill(1), all = 0, found, limiting = "", least = 1;
      var met = [], findings = demand.limits.map(function (bound, place) {
        found = finding(at, row.bounds[place], bound);
        met.push(found.met);
        if (found.probability < 1) both(feasible, found.met);
        if (found.probability < least) { least = found.probability; limiting = bound.id; }
        return { limit: found.limit, state: found.state, probability: found.probability };
      });
      for (k = 0; k < n; k++) all += feasible[k];
      var parts = demand.criteria.map(function (goal, place) {
        var u = utility(at, row.goals[place], goal);
        u = u.mean === undefined ? (u.mean = mean(u)) : u.mean;
        return { criterion: goal.id, utility: u, contribution: u * mass[place] };
      });
      return {
        soc: row.soc, row: row, score: 0, best: 0, feasible: all / n, ranks: new Array(depth).fill(0), parts: parts, findings: findings,
        central: [], ruled_out: findings.some(function (one) { return one.state === "not met"; }), limiting: limiting, pareto: false,
        mask: feasible, met: met, value: null,
      };
    });
    var able = entries.filter(function (one) { return one.feasible > 0; });
    able.forEach(function (entry) {
      entry.value = buffer(at, "value " + entry.soc, Float32Array).fill(0);
      sum(entry.value, weights, demand.criteria.map(function (goal, place) { return utility(at, entry.row.goals[place], goal); }));
      entry.score = total(entry.value, entry.mask) / n;
    });
    var none = rank(able, weights, n, depth);
    front(entries, demand.criteria);
    var stated = demand.criteria.reduce(function (sum, goal) { return sum + goal.weight; }, 0);
    entries.forEach(function (one) { // of the weight, the share of which something is known: below options.placed a score would mostly be that of not knowing
      one.known = demand.criteria.reduce(function (sum, goal, place) {
        return sum + (one.row.goals[place].value === null ? 0 : stated > 0 ? goal.weight / stated : 1 / demand.criteria.length);
      }, 0);
      one.placed = !one.ruled_out && one.known >= options.placed;
    });
    entries.sort(function (a, b) { return a.ruled_out - b.ruled_out || b.placed - a.placed || b.score - a.score || (a.soc < b.soc ? -1 : 1); });
    var found = verdict(entries, none, n);
    found.weights = weights;
    return found;
  }
  /* Fills in best, ranks and central; gives the share of draws in which none is feasible. SoCs of equal value share their places equally. */
  function rank(able, weights, n, depth) {
    var m = able.length, room = depth - 1, values = able.map(function (one) { return one.value; }), held = new Float32Array(room), who = new Int32Array(room + m);
    var wins = new Float64Array(m), places = able.map(function () { return new Float64Array(depth); }), none = 0, past = new Float32Array(m);
    var central = able.map(function () { return new Float64Array(weights.length); }), i, j, k;
    for (k = 0; k < n; k++) {
      var size = 0, over = 0; // the first `room` in order; behind them in `who` those that fell off, of which some may equal the last
      for (i = 0; i < m; i++) {
        var v = values[i][k], at = size;
        if (v < 0) continue;
        if (size < room) size++;
        else if (v > held[room - 1]) {
          at = room - 1;
          past[over] = held[at];
          who[room + over++] = who[at];
        } else {
          past[over] = v;
          who[room + over++] = i;
          continue;
        }
        while (at > 0 && held[at - 1] < v) { held[at] = held[at - 1]; who[at] = who[at - 1]; at--; }
        held[at] = v;
        who[at] = i;
      }
      if (!size) none++;
      for (var from = 0; from < size;) {
        var to = from + 1, equal;
        while (to < size && held[to] === held[from]) to++;
        equal = to - from;
        if (to === room) for (j = 0; j < over; j++) if (past[j] === held[from]) equal++;
        for (j = from; j < to; j++) share(who[j], from, to, equal);
        if (equal > to - from) for (j = 0; j < over; j++) if (past[j] === held[from]) share(who[room + j], from, to, equal);
        from = to;
      }
    }
    function share(index, from, to, equal) {
      for (var place = from; place < to; place++) places[index][place] += 1 / equal;
      if (from) return;
      wins[index] += 1 / equal;
      for (var criterion = 0; criterion < weights.length; criterion++) central[index][criterion] += weights[criterion][k] / equal;
    }
    able.forEach(function (entry, index) {
      entry.best = wins[index] / n;
      entry.ranks = Array.from(places[index], function (one) { return one / n; });
      entry.central = wins[index] ? Array.from(central[index], function (one) { return one / wins[index]; }) : [];
    });
    return none / n;
  }
  /* Marks the Pareto front of the medians among those not ruled out; a SoC of which a criterion is unknown is not on it. */
  function front(entries, criteria) {
    var counted = criteria.map(function (goal, j) { return goal.weight > 0 ? j : -1; }).filter(function (j) { return j >= 0; });
    var open = entries.filter(function (one) {
      return !one.ruled_out && counted.every(function (j) { return one.row.goals[j].value !== null; });
    });
    open.forEach(function (one) {
      one.pareto = !open.some(function (other) {
        var better = false, as_good = counted.every(function (j) {
          var lead = (other.row.goals[j].value - one.row.goals[j].value) * (criteria[j].target > criteria[j].reject ? 1 : -1);
          if (lead > 0) better = true;
          return lead >= 0;
        });
        return as_good && better;
      });
    });
  }
  function verdict(entries, none, n) {
    var open = entries.filter(function (one) { return !one.ruled_out; });
    entries.forEach(function (one) {
      var known = one.ranks.slice(0, -1).reduce(function (sum, share) { return sum + share; }, 0);
      one.ranks[one.ranks.length - 1] = Math.max(0, 1 - known);
    });
    var leader = open.length && open[0].feasible > 0 ? open[0] : null, word = "shortlist";
    if (!leader) word = "nothing";
    else if (leader.best >= SURE && leader.findings.every(function (one) { return one.state === "met"; })) word = "recommended";
    else if (leader.best >= LEADING) word = "leading";
    var placed = open.filter(function (one) { return one.placed; });
    var byBest = (placed.length ? placed : open).filter(function (one) { return one.best > 0; }).sort(function (a, b) { return b.best - a.best || b.score - a.score; });
    var total = byBest.reduce(function (sum, one) { return sum + one.best; }, 0), sum = 0, shortlist = [];
    for (var i = 0; i < byBest.length && total > 0 && sum < SURE * total - 1e-12; i++) { sum += byBest[i].best; shortlist.push(byBest[i].soc); }
    return { word: word, leader: leader ? leader.soc : "", shortlist: shortlist, none_feasible: none, entries: entries, draws: n };
  }

  /* What to find out next: the expected value of learning one variable exactly (EVPPI), before choosing. As harness/decide/value.py: what
   * depends on the variable is averaged over its own quantiles, so the noise of the draws does not turn the first place around. */
  function advise(at, demand, decision) {
    var open = decision.entries.filter(function (one) { return one.placed && one.value; }), found = [];
    open.slice(0, CONSIDERED).forEach(function (entry, place) {
      var rival = open[place === 0 ? 1 : 0], other = rival ? rival.score : 0, unknown = variables(entry.row, demand);
      Object.keys(unknown).forEach(function (name) {
        var best = { gain: 0, flip: 0 }, asked = unknown[name];
        outcomes(at, demand, decision.weights, entry, asked).forEach(function (told) {
          var shift = entry.score, gain = 0, flips = 0;
          told.scores.forEach(function (one, i) { shift -= one * told.shares[i]; });
          told.scores.forEach(function (one, i) {
            var score = Math.max(0, one + shift);
            gain += Math.max(score, other) * told.shares[i];
            if (place === 0 ? score < other : score > other) flips += told.shares[i];
          });
          gain = Math.max(0, gain - Math.max(entry.score, other));
          if (gain > best.gain) best = { gain: gain, flip: flips };
        });
        if (best.gain > LEAST_GAIN) {
          var id = asked.criteria.map(function (j) { return demand.criteria[j].id; }).concat(asked.limits.map(function (j) { return demand.limits[j].id; }))[0];
          var decides = asked.limits.some(function (j) { return entry.findings[j].probability > 0 && entry.findings[j].probability < 1; });
          found.push({ soc: entry.soc, id: id, gain: best.gain, flip: best.flip, limit: decides });
        }
      });
    });
    found.sort(function (a, b) { return b.gain - a.gain; });
    return found.slice(0, ADVICE);
  }
  /* Variable -> the criteria and limits (positions) that depend on it, of those that are not certain. */
  function variables(row, demand) {
    var found = {};
    function note(cell, uncertain, list, place) {
      if (uncertain) (found[cell.variable] = found[cell.variable] || { criteria: [], limits: [] })[list].push(place);
    }
    demand.criteria.forEach(function (_, j) { var c = row.goals[j]; note(c, c.value === null || c.sigma > 0, "criteria", j); });
    demand.limits.forEach(function (_, j) { var c = row.bounds[j]; note(c, c.value === null || c.sigma > 0 || c.floor < c.ceil || onlyClaimed(c, demand.limits[j]), "limits", j); });
    return found;
  }
  /* The scores by what may be learnt: the quantile of the variable, and which way the coin falls where a limit is left open. */
  function outcomes(at, demand, weights, entry, asked) {
    var n = at.n, others = new Uint8Array(n).fill(1), k, surely = new Float32Array(n).fill(1), perhaps = new Float32Array(n).fill(1), coin = false;
    demand.limits.forEach(function (_, j) { if (asked.limits.indexOf(j) < 0) both(others, entry.met[j]); });
    asked.limits.forEach(function (j) {
      for (k = 0; k < n; k++) {
        var found = standing(entry.row.bounds[j], demand.limits[j], at.table[k]);
        if (found !== 1) surely[k] = 0;
        if (found === 0) perhaps[k] = 0;
      }
    });
    for (k = 0; k < n && !coin; k++) coin = perhaps[k] > surely[k];
    var rest = 0, shares = asked.criteria.map(function () { return 0; }), value = new Float32Array(n);
    demand.criteria.forEach(function (goal, j) { if (asked.criteria.indexOf(j) < 0) add(value, weights[j], utility(at, entry.row.goals[j], goal)); });
    for (k = 0; k < n; k++) if (others[k]) rest += value[k] / n;
    asked.criteria.forEach(function (j, place) { for (k = 0; k < n; k++) if (others[k]) shares[place] += weights[j][k] / n; });
    function binned(chance, bins) {
      var scores = new Array(bins).fill(0);
      for (k = 0; k < n; k++) {
        var p = chance(k);
        if (p <= 0) continue;
        var score = rest;
        for (var i = 0; i < asked.criteria.length; i++) score += shares[i] * level(at, entry.row.goals[asked.criteria[i]], demand.criteria[asked.criteria[i]], k);
        scores[Math.floor(k * bins / n)] += p * score * bins / n;
      }
      return scores;
    }
    var luck = asked.limits.reduce(function (least, j) { return Math.min(least, chanceOf(entry.row.bounds[j])); }, 1);
    if (!asked.limits.length) luck = 0.5;
    var found = [{ scores: binned(function (q) { return (1 - luck) * surely[q] + luck * perhaps[q]; }, BINS), shares: new Array(BINS).fill(1 / BINS) }];
    if (coin) {
      found.push({ scores: [binned(function (q) { return surely[q]; }, 1)[0], binned(function (q) { return perhaps[q]; }, 1)[0]], shares: [1 - luck, luck] });
    }
    return found;
  }

  /* Computes what `decide` will need, a piece at a time, so that the first change of a slider is as quick as the next. */
  function prepare(at, demand) {
    var steps = [];
    at.rows.forEach(function (row) {
      demand.criteria.forEach(function (goal, j) { steps.push(function () { utility(at, row.goals[j], goal); }); });
      demand.limits.forEach(function (bound, j) { steps.push(function () { finding(at, row.bounds[j], bound); }); });
    });
    return steps;
  }
  return { market: market, chance: chance, decide: decide, advise: advise, prepare: prepare, STRENGTH: STRENGTH };
})();
