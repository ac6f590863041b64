"use strict";
/* What the reader has chosen, in the address: #decide?s=edge-llm&w=latency:yolov8n~3&l=power~15&price=200&o=best. Everything else in it is kept. */
socbench.state = (function () {
  var OWN = ["s", "w", "l", "vendor", "price", "power", "safety", "out", "o", "plot", "soc"];

  function split() {
    var hash = location.hash.slice(1), at = hash.indexOf("?");
    return { page: at < 0 ? hash : hash.slice(0, at), query: new URLSearchParams(at < 0 ? "" : hash.slice(at + 1)) };
  }
  function pairs(values) {
    var found = {};
    values.forEach(function (one) {
      var at = one.lastIndexOf("~"), said = one.slice(at + 1), value = Number(said);
      if (at < 1 || said === "") return;
      if (said === "off") found[one.slice(0, at)] = null;
      else if (isFinite(value)) found[one.slice(0, at)] = value;
    });
    return found;
  }
  function number(text) {
    var value = Number(text);
    return text === null || text === "" || !isFinite(value) ? null : value;
  }
  /* The state in the address, whatever page is shown. */
  function read() {
    var query = split().query;
    return {
      scenario: query.get("s") || "", weights: pairs(query.getAll("w")), limits: pairs(query.getAll("l")),
      vendor: query.get("vendor") || "", price: number(query.get("price")), power: number(query.get("power")), safety: number(query.get("safety")),
      out: query.get("out") === "1", sort: query.get("o") || "", plot: query.get("plot") || "", soc: query.get("soc") || "",
    };
  }
  function here() {
    var page = split().page;
    return page === "decide" || page === "";
  }
  function write(state) {
    var said = [];
    function add(name, value) {
      said.push(name + "=" + encodeURIComponent(value).replace(/%3A/g, ":"));
    }
    if (state.scenario) add("s", state.scenario);
    Object.keys(state.weights).forEach(function (id) { add("w", id + "~" + state.weights[id]); });
    Object.keys(state.limits).forEach(function (id) { add("l", id + "~" + (state.limits[id] === null ? "off" : state.limits[id])); });
    if (state.vendor) add("vendor", state.vendor);
    ["price", "power", "safety"].forEach(function (name) { if (state[name] !== null) add(name, state[name]); });
    if (state.out) add("out", "1");
    if (state.sort) add("o", state.sort);
    if (state.plot) add("plot", state.plot);
    split().query.forEach(function (value, name) { if (OWN.indexOf(name) < 0) add(name, value); });
    return "#decide" + (said.length ? "?" + said.join("&") : "");
  }
  return { read: read, write: write, here: here };
})();
