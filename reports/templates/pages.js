/* Matrix, SoCs, Claims: filters, sorting, comparing. What is chosen stands in the address. */
(function () {
  document.addEventListener("DOMContentLoaded", function () {
    var list = function (found) { return Array.prototype.slice.call(found); };
    var forms = list(document.querySelectorAll("form[data-filter]"));

    // ---- the table of the matrix as CSV: all three numbers of each cell
    var matrix = document.getElementById("matrix-table"), sheet = document.getElementById("matrix-csv");
    if (matrix) sheet.textContent = (function () {
      var asked = list(matrix.tHead.rows[0].cells).slice(1).map(function (one) { return new URLSearchParams(one.querySelector("a").hash.split("?")[1]).get("s"); });
      var lines = [["scenario", "soc", "state", "P(best)", "P(feasible)", "score", "weakest evidence", "unknown", "ruled out by"]];
      matrix.querySelectorAll("tr[data-role]").forEach(function (row) {
        var cells = list(row.cells), name = cells[0].firstChild.textContent;
        cells.slice(1).forEach(function (cell, at) {
          var state = cell.classList[0], numbers = list(cell.querySelectorAll("b i")).map(function (one) { return one.textContent; });
          if (state === "absent") return;
          var mark = cell.querySelector(".m"), unknown = cell.querySelector("u"), limit = state === "out" ? cell.querySelector("span").textContent : "";
          lines.push([asked[at], name, { open: "open", thin: "not placed", out: "ruled out" }[state]].concat(numbers.length ? numbers : ["", "", ""],
            mark ? mark.className.replace(/.*m-/, "").replace("-here", "") : "", unknown ? unknown.textContent.slice(1) : "", limit));
        });
      });
      return lines.map(function (line) {
        return line.map(function (one) { return /[",]/.test(one) ? '"' + one.replace(/"/g, '""') + '"' : one; }).join(",") + "\n";
      }).join("");
    })();

    // ---- a value of a SoC that has evidence behind it opens it
    function figure(one, key) { // `one` becomes a button that opens the cell of this key
      var made = document.createElement("button");
      made.type = "button";
      made.className = ("figure " + one.className).trim();
      made.dataset.cell = key;
      if (one.dataset.w) made.dataset.w = one.dataset.w;
      made.append.apply(made, list(one.childNodes));
      one.replaceWith(made);
    }
    document.querySelectorAll("#socs-table tbody tr").forEach(function (row) {
      var heads = row.closest("table").tHead.rows[0].cells;
      list(row.cells).forEach(function (cell, at) {
        var value = at && cell.querySelector("b");
        if (value) figure(value, row.dataset.soc + "|" + heads[at].querySelector(".sort").dataset.sort + "|");
      });
    });
    document.querySelectorAll("details.soc[data-soc]").forEach(function (part) {
      part.querySelectorAll("table[data-comparable] tr[data-k]").forEach(function (row) { // so many cells say what it is, the next one its value
        var what = Number(row.closest("table").dataset.comparable);
        list(row.cells).slice(0, what).forEach(function (one) { one.classList.add("what"); });
        row.cells[what].classList.add("said");
      });
      part.querySelectorAll("tr[data-k] > .said > b").forEach(function (one) {
        var key = one.closest("tr").dataset.k.split(":");
        figure(one, part.dataset.soc + "|" + key[0] + "|" + key.slice(1).join(":"));
      });
    });

    // ---- filters: a row is hidden by each control that it does not fit; one whose value is not known is counted apart
    function value(form, name) {
      var control = form.elements[name];
      return control ? control.value.trim() : "";
    }
    function filter(form) {
      var rows = list(document.getElementById(form.dataset.filter).tBodies).reduce(function (all, body) {
        return all.concat(list(body.rows).filter(function (row) { return !row.classList.contains("part"); }));
      }, []);
      var words = value(form, "q").toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0, unsure = 0;
      rows.forEach(function (row) {
        var text = (row.cells[0].textContent + (row.dataset.verdict ? row.textContent : "")).toLowerCase();
        var fits = words.every(function (one) { return text.indexOf(one) >= 0; });
        ["vendor", "role", "verdict"].forEach(function (name) {
          var wanted = value(form, name);
          if (wanted && row.dataset[name] !== wanted) fits = false;
        });
        var doubt = false;
        ["max-price", "max-power", "min-safety"].forEach(function (name) {
          var bound = value(form, name), own = row.dataset[name.slice(4)];
          if (bound === "" || isNaN(Number(bound))) return;
          if (own === undefined) doubt = true;
          else if (name[1] === "a" ? Number(own) > Number(bound) : Number(own) < Number(bound)) fits = false;
        });
        row.hidden = !fits || doubt;
        if (!row.hidden) shown++;
        else if (fits) unsure++;
      });
      list(document.getElementById(form.dataset.filter).tBodies).forEach(function (body) { // a heading without rows says nothing
        var head = body.querySelector("tr.part");
        if (head) head.hidden = !list(body.rows).some(function (row) { return row !== head && !row.hidden; });
      });
      var out = form.querySelector("output"), beside = form.querySelector(".unsure");
      out.textContent = out.dataset.template.replace("{shown}", shown).replace("{all}", rows.length);
      beside.hidden = !unsure;
      beside.textContent = beside.dataset.template.replace("{number}", unsure);
      var number = value(form, "number");
      if (number) showNumber(document.getElementById(form.dataset.filter), number);
    }
    function showNumber(table, number) {
      if (table.dataset.number === number) return;
      table.dataset.number = number;
      table.querySelectorAll("td.open").forEach(function (cell) {
        var shown = Number(cell.querySelector("b").children[Number(number)].textContent); // the step of the ramp: as reports/matrix.py has it
        cell.firstElementChild.className = "h" + (shown ? Math.max(1, Math.min(10, Math.floor(shown * 10 + 0.5))) : 0);
      });
    }
    function names(form) {
      return list(form.elements).map(function (one) { return one.name; }).filter(function (one, place, all) { return one && all.indexOf(one) === place; });
    }
    function usual(form, name) {
      var control = form.elements[name];
      return control.length && control[0].type === "radio" ? control[0].value : "";
    }
    function keep(form) {
      var changes = {};
      names(form).forEach(function (name) { changes[name] = value(form, name) === usual(form, name) ? null : value(form, name); });
      socbench.put(changes);
    }
    forms.forEach(function (form) {
      form.addEventListener("submit", function (event) { event.preventDefault(); });
      form.addEventListener("input", function () { filter(form); keep(form); });
    });
    function arrive(page) {
      var query = socbench.query();
      forms.filter(function (form) { return form.closest(".page").id === page; }).forEach(function (form) {
        names(form).forEach(function (name) { form.elements[name].value = query.get(name) === null ? usual(form, name) : query.get(name); });
        filter(form);
      });
      if (page === "socs") {
        order(query.get("sort") || "");
        if (query.get("compare") !== null) picks(query.get("compare").split(","));
        else compare();
      }
    }
    document.addEventListener("socbench:page", function (event) { arrive(event.detail.page); });
    document.addEventListener("socbench:lang", function () {
      forms.forEach(filter);
      compare();
    });

    // ---- sorting: what is not known stays last either way
    var catalogue = document.getElementById("socs-table");
    var first = catalogue ? list(catalogue.tBodies[0].rows) : [];
    function order(sort) {
      if (!catalogue) return;
      var down = sort[0] === "-", key = down ? sort.slice(1) : sort;
      var control = list(catalogue.querySelectorAll(".sort")).find(function (one) { return one.dataset.sort === key; });
      catalogue.querySelectorAll("thead th").forEach(function (one) { one.removeAttribute("aria-sort"); });
      var rows = first.slice();
      if (control) {
        control.closest("th").setAttribute("aria-sort", down ? "descending" : "ascending");
        var name = key.replace(/[-_](\w)/g, function (all, letter) { return letter.toUpperCase(); });
        var text = control.dataset.type === "text";
        rows.sort(function (a, b) {
          var one = a.dataset[name], other = b.dataset[name];
          if (one === undefined || other === undefined) return (one === undefined) - (other === undefined);
          var by = text ? one.localeCompare(other) : Number(one) - Number(other);
          return down ? -by : by;
        });
      }
      catalogue.tBodies[0].append.apply(catalogue.tBodies[0], rows);
    }
    if (catalogue) catalogue.addEventListener("click", function (event) {
      var control = event.target.closest(".sort");
      if (!control) return;
      var now = control.closest("th").getAttribute("aria-sort");
      var key = control.dataset.sort, begin = key === "leads" ? "-" : "", then = begin ? "" : "-";
      var next = !now ? begin + key : (now === "descending") === (begin === "-") ? then + key : "";
      order(next);
      socbench.put({ sort: next });
    });

    // ---- side by side: the rows of the chosen SoCs' own tables, those that differ first
    var MOST = 4;
    function boxes() { return list(document.querySelectorAll('input[name="compare"]')); }
    function chosen() { return boxes().filter(function (one) { return one.checked; }); }
    function picks(values) {
      boxes().forEach(function (one) { one.checked = values.indexOf(one.value) >= 0; });
      compare();
    }
    function compare() {
      var part = document.getElementById("compare"), table = document.getElementById("compare-table");
      if (!part) return;
      var socs = chosen().slice(0, MOST);
      boxes().forEach(function (one) { one.disabled = !one.checked && socs.length >= MOST; });
      part.hidden = socs.length < 2;
      document.querySelector(".page#socs").classList.toggle("comparing", socs.length >= 2);
      table.replaceChildren();
      if (socs.length < 2) return;
      var keys = [], known = {};
      socs.forEach(function (box, place) {
        document.getElementById(box.value).querySelectorAll("table[data-comparable] tr[data-k]").forEach(function (row) {
          var key = row.dataset.k;
          if (!known[key]) { known[key] = { what: row, values: [] }; keys.push(key); }
          known[key].values[place] = row.querySelector(".said");
        });
      });
      var text = function (cell) { return cell ? cell.textContent.replace(/\s+/g, " ").trim() : ""; };
      var differ = [], same = [];
      keys.forEach(function (key) {
        var values = known[key].values.filter(Boolean), said = values.map(text);
        (values.length > 1 && said.some(function (one) { return one !== said[0]; }) ? differ : same).push(key);
      });
      var words = document.getElementById("compare-words").content.children;
      var head = table.createTHead().insertRow();
      function cell(row, kind, scope, from) {
        var made = document.createElement(kind);
        if (scope) made.scope = scope;
        if (from) list(from.childNodes).forEach(function (one) { made.appendChild(one.cloneNode(true)); });
        row.appendChild(made);
        return made;
      }
      cell(head, "th", "col", words[0]);
      socs.forEach(function (box) { cell(head, "th", "col").appendChild(box.closest("th").querySelector("a").cloneNode(true)); });
      [[differ, words[1]], [same, words[2]]].forEach(function (group) {
        if (!group[0].length) return;
        var body = table.createTBody();
        var title = cell(body.insertRow(), "th", "rowgroup", group[1]);
        title.colSpan = socs.length + 1;
        title.className = "group";
        group[0].forEach(function (key) {
          var row = body.insertRow(), label = cell(row, "th", "row");
          known[key].what.querySelectorAll(".what").forEach(function (one, place) {
            if (place) label.appendChild(document.createTextNode(" "));
            list(one.childNodes).forEach(function (node) { label.appendChild(node.cloneNode(true)); });
          });
          socs.forEach(function (box, place) {
            var made = cell(row, "td", "", known[key].values[place]);
            if (!made.childNodes.length) { made.className = "sub"; made.append.apply(made, list(words[3].childNodes).map(function (one) { return one.cloneNode(true); })); }
          });
        });
      });
    }
    document.addEventListener("change", function (event) {
      if (event.target.name !== "compare") return;
      compare();
      socbench.put({ compare: chosen().map(function (one) { return one.value; }).join(",") });
    });
    var none = document.getElementById("compare-none");
    if (none) none.addEventListener("click", function () {
      picks([]);
      socbench.put({ compare: null });
      catalogue.scrollIntoView({ block: "nearest" });
    });

    forms.forEach(filter);
    arrive(socbench.page());
  });
})();
