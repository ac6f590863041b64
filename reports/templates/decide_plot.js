"use strict";
/* The trade-off plot: two questions on log axes, intervals as bars, the Pareto front of the medians as a step line, a label at each point. */
socbench.plot = (function () {
  var PHONE = window.matchMedia("screen and (max-width: 44rem)"), WIDTH = 920, HEIGHT = 470, LEFT = 64, RIGHT = 24, TOP = 18, BOTTOM = 46, RADIUS = 5;
  var t = socbench.text, s = t.s;

  /* points: [{x: cell, y: cell, name, soc, first, out}]; axes: {x: {id, title}, y: ...} with `lower` where lower is better; limits: {x, y}. */
  function draw(points, axes, limits) {
    WIDTH = PHONE.matches ? 420 : 920; // as wide as there is room for its letters
    var x = axis(points, "x", limits.x, LEFT, WIDTH - RIGHT), y = axis(points, "y", limits.y, HEIGHT - BOTTOM, TOP);
    var svg = s("svg", { viewBox: "0 0 " + WIDTH + " " + HEIGHT, role: "img", "aria-label": t.say("plot-against", { a: axes.y.title, b: axes.x.title }), class: "tradeoff" });
    grid(svg, x, y, axes, points[0]);
    bound(svg, limits.x, x, true);
    bound(svg, limits.y, y, false);
    var placed = points.map(function (point) {
      return { point: point, x: x.at(point.x.v), y: y.at(point.y.v), wide: [x.at(side(point.x, "lo")), x.at(side(point.x, "hi"))], high: [y.at(side(point.y, "lo")), y.at(side(point.y, "hi"))] };
    });
    var steps = front(svg, placed, axes);
    placed.forEach(function (one) {
      svg.appendChild(s("path", { class: "whisker", d: "M" + one.wide[0] + " " + one.y + "H" + one.wide[1] + "M" + one.x + " " + one.high[0] + "V" + one.high[1] }));
    });
    var box = { left: LEFT, right: WIDTH - RIGHT, top: TOP, bottom: HEIGHT - BOTTOM };
    labels(svg, placed, box, steps);
    placed.forEach(function (one) { svg.appendChild(mark(one)); });
    return svg;
  }
  function side(cell, name) {
    return cell[name] > 0 ? cell[name] : cell.v;
  }
  function axis(points, which, limit, from, to) {
    var all = [];
    points.forEach(function (point) { all.push(side(point[which], "lo"), side(point[which], "hi"), point[which].v); });
    if (limit > 0) all.push(limit);
    var low = Math.log(Math.min.apply(null, all)), high = Math.log(Math.max.apply(null, all)), room = Math.max(0.06 * (high - low), 0.12);
    low -= room;
    high += room;
    return {
      at: function (value) { return Math.round((from + (Math.log(value) - low) / (high - low) * (to - from)) * 10) / 10; },
      low: Math.exp(low), high: Math.exp(high),
    };
  }
  function ticks(axis) {
    var decades = Math.log10(axis.high / axis.low), steps = decades > 3 ? [1] : decades > 1.3 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7], found = [];
    for (var power = Math.floor(Math.log10(axis.low)); power <= Math.ceil(Math.log10(axis.high)); power++) {
      steps.forEach(function (step) {
        var value = step * Math.pow(10, power);
        if (value >= axis.low && value <= axis.high) found.push(value);
      });
    }
    return found;
  }
  function grid(svg, x, y, axes) {
    var lines = s("g", { class: "gridlines" }), words = s("g", { class: "ticks" });
    [["x", x], ["y", y]].forEach(function (pair) {
      var by = t.scale(axes[pair[0]].id, Math.sqrt(pair[1].low * pair[1].high)), across = pair[0] === "x";
      var inUnit = { low: pair[1].low / by.factor, high: pair[1].high / by.factor };
      var last = -Infinity;
      ticks(inUnit).forEach(function (value) {
        var at = pair[1].at(value * by.factor), said = t.significant(value, 2);
        if (across && at - last < 34) return;
        last = at;
        lines.appendChild(s("path", { d: across ? "M" + at + " " + TOP + "V" + (HEIGHT - BOTTOM) : "M" + LEFT + " " + at + "H" + (WIDTH - RIGHT) }));
        words.appendChild(across ? s("text", { x: at, y: HEIGHT - BOTTOM + 17, "text-anchor": "middle" }, said) : s("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, said));
      });
      var title = axes[pair[0]].title + (by.unit ? ", " + by.unit : ""), arrow = " (" + (axes[pair[0]].lower === across ? "← " : "→ ") + t.word("plot-better") + ")";
      words.appendChild(across ?
        s("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle", class: "axis" }, title + arrow) :
        s("text", { x: 15, y: (TOP + HEIGHT - BOTTOM) / 2, "text-anchor": "middle", class: "axis", transform: "rotate(-90 15 " + (TOP + HEIGHT - BOTTOM) / 2 + ")" },
          title + " (" + (axes.y.lower ? "← " : "→ ") + t.word("plot-better") + ")"));
    });
    svg.appendChild(lines);
    svg.appendChild(words);
  }
  function bound(svg, limit, axis, across) {
    if (!(limit > 0)) return;
    var at = axis.at(limit);
    svg.appendChild(s("path", { class: "bound", d: across ? "M" + at + " " + TOP + "V" + (HEIGHT - BOTTOM) : "M" + LEFT + " " + at + "H" + (WIDTH - RIGHT) }));
  }
  /* The step line through the points that no other one beats on both axes, those ruled out not counting; gives its pieces as boxes. */
  function front(svg, placed, axes) {
    var rightward = axes.x.lower ? 1 : -1, upward = axes.y.lower ? -1 : 1; // pixels of y grow downwards
    var open = placed.filter(function (one) { return !one.point.out; }).sort(function (a, b) { return rightward * (a.x - b.x) || upward * (a.y - b.y); });
    var best = null, d = "", from = null, steps = [];
    open.forEach(function (one) {
      if (best !== null && upward * (one.y - best) >= 0) return;
      d += d ? "H" + one.x + "V" + one.y : "M" + one.x + " " + one.y;
      if (from) {
        steps.push({ l: Math.min(from.x, one.x), r: Math.max(from.x, one.x), t: from.y - 1, b: from.y + 1 });
        steps.push({ l: one.x - 1, r: one.x + 1, t: Math.min(from.y, one.y), b: Math.max(from.y, one.y) });
      }
      best = one.y;
      from = one;
    });
    if (d) svg.appendChild(s("path", { class: "front", d: d }));
    return steps;
  }
  /* Labels where they overlap least: eight places around the point, nearest first, then further out with a thin line back to it. */
  function labels(svg, placed, box, thin) {
    var taken = placed.map(function (one) { return { l: one.x - 6, r: one.x + 6, t: one.y - 6, b: one.y + 6 }; });
    placed.forEach(function (one) {
      thin.push({ l: Math.min.apply(null, one.wide), r: Math.max.apply(null, one.wide), t: one.y - 1, b: one.y + 1 });
      thin.push({ l: one.x - 1, r: one.x + 1, t: Math.min.apply(null, one.high), b: Math.max.apply(null, one.high) });
    });
    placed.slice().sort(function (a, b) { return b.point.first - a.point.first || a.y - b.y; }).forEach(function (one) {
      var width = 4, best = null;
      for (var i = 0; i < one.point.name.length; i++) width += one.point.name.charCodeAt(i) > 0x2e80 ? 12 : 6.4;
      [9, 18, 30, 44].forEach(function (far) {
        [[1, 0], [-1, 0], [0.7, -0.8], [0.7, 0.8], [-0.7, -0.8], [-0.7, 0.8], [0, -1], [0, 1]].forEach(function (way) {
          var cx = one.x + way[0] * far, cy = one.y + way[1] * (far + 2), left = way[0] > 0 ? cx : way[0] < 0 ? cx - width : cx - width / 2;
          var rect = { l: left, r: left + width, t: cy - 7, b: cy + 7 }, cost = far / 10;
          taken.concat(thin).forEach(function (other, index) {
            var w = Math.min(rect.r, other.r) - Math.max(rect.l, other.l), h = Math.min(rect.b, other.b) - Math.max(rect.t, other.t);
            if (w > 0 && h > 0) cost += w * h * (index < taken.length ? 1 : 0.04); // text over a thin line can be read
          });
          if (rect.l < box.left || rect.r > box.right || rect.t < box.top || rect.b > box.bottom) cost += 1000;
          if (!best || cost < best.cost) best = { cost: cost, rect: rect, far: far, x: left, y: cy + 4 };
        });
      });
      taken.push(best.rect);
      if (best.far > 9) {
        var near = Math.abs(best.rect.l - one.x) < Math.abs(best.rect.r - one.x) ? best.rect.l : best.rect.r;
        if (best.rect.l < one.x && best.rect.r > one.x) near = one.x;
        svg.appendChild(s("path", { class: "leader", d: "M" + one.x + " " + one.y + "L" + near + " " + (best.y - 4) }));
      }
      svg.appendChild(s("text", { x: best.x, y: best.y, class: one.point.first ? "name first" : one.point.out ? "name out" : "name" }, one.point.name));
    });
  }
  /* A point: filled measured, half filled published, open datasheet, dashed claimed, two waves estimated. */
  function shape(kind, x, y) {
    var made = s("g", { class: "mark " + kind }), r = RADIUS;
    if (kind === "estimated") {
      var wave = "q2.5 -4 5 0t5 0";
      made.appendChild(s("path", { class: "halo", d: "M" + (x - 5) + " " + (y - 2) + wave + "M" + (x - 5) + " " + (y + 3) + wave }));
      made.appendChild(s("path", { class: "line", d: "M" + (x - 5) + " " + (y - 2) + wave + "M" + (x - 5) + " " + (y + 3) + wave }));
      return made;
    }
    made.appendChild(s("circle", { cx: x, cy: y, r: r, class: kind === "measured" ? "full" : "open", "stroke-dasharray": kind === "claimed" ? "2 2" : null }));
    if (kind === "published") made.appendChild(s("path", { class: "full", d: "M" + x + " " + (y - r) + "A" + r + " " + r + " 0 0 0 " + x + " " + (y + r) + "Z" }));
    return made;
  }
  function mark(one) {
    var made = shape(one.point.kind, one.x, one.y);
    if (one.point.first) made.classList.add("first");
    if (one.point.out) made.classList.add("out");
    made.appendChild(s("title", {}, one.point.name + ": " + t.shown(one.point.x.v, one.point.x.m) + ", " + t.shown(one.point.y.v, one.point.y.m)));
    return made;
  }
  function key(kind) {
    return s("svg", { viewBox: "-8 -8 16 16", class: "tradeoff key-mark", "aria-hidden": "true" }, shape(kind, 0, 0));
  }
  return { phone: PHONE, draw: draw, key: key };
})();
