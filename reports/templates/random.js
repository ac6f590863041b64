"use strict";
/* Random numbers by name for the decision in the page: uniform, normal, gamma, permutations. Pure functions, no page. */
var socbench = window.socbench || {};
window.socbench = socbench;
socbench.random = (function () {
  /* Four 32-bit words from a name: FNV-1a (Fowler, Noll, Vo) with four offsets, each mixed once more by murmur3's finaliser. */
  function seeds(name) {
    return [0x811c9dc5, 0x2f0b4c47, 0x9e3779b9, 0x6a09e667].map(function (word) {
      for (var i = 0; i < name.length; i++) word = Math.imul(word ^ name.charCodeAt(i), 0x01000193);
      word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
      word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
      return word ^ (word >>> 16);
    });
  }
  /* Uniform numbers in [0, 1): sfc32 of C. Doty-Humphrey's PractRand. */
  function uniforms(name) {
    var s = seeds(name), a = s[0], b = s[1], c = s[2], d = s[3] | 1;
    function next() {
      var t = (a + b + d) | 0;
      d = (d + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = ((c << 21) | (c >>> 11)) + t | 0;
      return (t >>> 0) / 4294967296;
    }
    for (var i = 0; i < 15; i++) next();
    return next;
  }
  function ratio(top, bottom, x) {
    var t = 0, b = 0;
    for (var i = top.length - 1; i >= 0; i--) { t = t * x + top[i]; b = b * x + bottom[i]; }
    return t / b;
  }
  var CENTRE = [
    [3.387132872796366608, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125, 45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727],
    [1, 42.313330701600911252, 687.1870074920579083, 5394.1960214247511077, 21213.794301586595867, 39307.89580009271061, 28729.085735721942674, 5226.495278852854561],
  ];
  var FLANK = [
    [1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055, 3.64784832476320460504, 1.27045825245236838258, 0.24178072517745061177, 0.0227238449892691845833, 7.7454501427834140764e-4],
    [1, 2.05319162663775882187, 1.6763848301838038494, 0.68976733498510000455, 0.14810397642748007459, 0.0151986665636164571966, 5.475938084995344946e-4, 1.05075007164441684324e-9],
  ];
  var TAIL = [
    [6.6579046435011037772, 5.4637849111641143699, 1.7848265399172913358, 0.29656057182850489123, 0.026532189526576123093, 0.0012426609473880784386, 2.71155556874348757815e-5, 2.01033439929228813265e-7],
    [1, 0.59983220655588793769, 0.13692988092273580531, 0.0148753612908506148525, 7.868691311456132591e-4, 1.8463183175100546818e-5, 1.4215117583164458887e-7, 2.04426310338993978564e-15],
  ];
  /* The normal quantile Phi^-1(p), 0 < p < 1, to 1e-15: M. J. Wichura, Algorithm AS 241, Applied Statistics 37 (1988) 477. */
  function quantile(p) {
    var q = p - 0.5, r;
    if (Math.abs(q) <= 0.425) return q * ratio(CENTRE[0], CENTRE[1], 0.180625 - q * q);
    r = Math.sqrt(-Math.log(q < 0 ? p : 1 - p));
    r = r <= 5 ? ratio(FLANK[0], FLANK[1], r - 1.6) : ratio(TAIL[0], TAIL[1], r - 5);
    return q < 0 ? -r : r;
  }
  function normals(n) {
    var table = new Float64Array(n);
    for (var k = 0; k < n; k++) table[k] = quantile((k + 0.5) / n);
    return table;
  }
  /* A shuffled 0 .. n-1 (Fisher, Yates). n <= 65536. */
  function order(name, n) {
    var next = uniforms(name), found = new Uint16Array(n);
    for (var k = 0; k < n; k++) {
      var j = Math.floor(next() * (k + 1));
      found[k] = found[j];
      found[j] = k;
    }
    return found;
  }
  /* `n` draws of a gamma variable of this shape and scale 1: G. Marsaglia, W. W. Tsang, ACM TOMS 26 (2000) 363; shape < 1 by their remark.
   * The proposals belong to the name, so a small change of the shape moves each draw a little; what is refused is drawn again. */
  function gammas(from, shape, n) {
    var found = new Float32Array(n);
    if (!(shape > 0)) return found;
    var small = shape < 1, d = (small ? shape + 1 : shape) - 1 / 3, c = 1 / Math.sqrt(9 * d), again = null;
    for (var k = 0; k < n; k++) {
      var x = from.normal[k], u = from.uniform[k], v = 1 + c * x;
      v = v * v * v;
      while (v <= 0 || (u >= 1 - 0.0331 * x * x * x * x && Math.log(u) >= 0.5 * x * x + d * (1 - v + Math.log(v)))) {
        again = again || uniforms(from.name + "/again");
        x = quantile(again() || 1e-12);
        u = again();
        v = 1 + c * x;
        v = v * v * v;
      }
      found[k] = d * v * (small ? Math.exp(from.log[k] / shape) : 1);
    }
    return found;
  }
  function proposals(name, n, table) {
    var next = uniforms(name), from = { name: name, normal: new Float32Array(n), uniform: new Float32Array(n), log: new Float32Array(n) };
    var ks = order(name + "/order", n);
    for (var k = 0; k < n; k++) {
      from.normal[k] = table[ks[k]];
      from.uniform[k] = next();
      from.log[k] = Math.log(next() || 1e-12);
    }
    return from;
  }
  return { uniforms: uniforms, quantile: quantile, normals: normals, order: order, gammas: gammas, proposals: proposals };
})();
