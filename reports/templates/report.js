"use strict";
(function () {
  var root = document.documentElement;
  var themes = ["auto", "light", "dark"];
  root.classList.add("js");

  // ---- theme: in the address (#page?theme=dark), else as stored; a file:// page may not have storage
  function stored(value) {
    try {
      if (value !== undefined) localStorage.setItem("socbench-theme", value);
      return localStorage.getItem("socbench-theme");
    } catch (error) {
      return null;
    }
  }
  function address() {
    var parts = decodeURIComponent(location.hash.slice(1)).split("?");
    return { id: parts[0], query: new URLSearchParams(parts[1] || "") };
  }
  function theme(name) {
    if (themes.indexOf(name) < 0) name = "auto";
    if (name === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", name);
    var button = document.getElementById("theme");
    if (button) {
      button.textContent = name;
      button.setAttribute("aria-label", "Theme: " + name);
    }
    return name;
  }
  var now = theme(address().query.get("theme") || stored() || "auto");

  document.addEventListener("DOMContentLoaded", function () {
    var pages = Array.prototype.slice.call(document.querySelectorAll(".page"));
    var runs = Array.prototype.slice.call(document.querySelectorAll("article.run"));
    var drawer = document.getElementById("drawer");
    var body = document.getElementById("drawer-body");
    var home = document.getElementById("runs");
    var page = pages[0];
    var shown = null;
    var opener = null;

    var button = document.getElementById("theme");
    button.hidden = false;
    theme(now);
    button.addEventListener("click", function () {
      now = theme(themes[(themes.indexOf(now) + 1) % themes.length]);
      stored(now);
    });

    // ---- pages and drawer: an id in the address shows the page, or opens the run, that holds the element
    function showPage(wanted) {
      page = wanted;
      pages.forEach(function (one) { one.classList.toggle("current", one === page); });
      document.querySelectorAll("nav a[data-page]").forEach(function (link) {
        if (link.dataset.page === page.id) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      });
      fit();
    }
    function putBack() {
      if (!shown) return;
      home.insertBefore(shown, runs[runs.indexOf(shown) + 1] || null);
      shown = null;
    }
    function open(article, target) {
      if (shown !== article) {
        putBack();
        shown = article;
        body.replaceChildren(article);
        body.scrollTop = 0;
      }
      if (!drawer.open) drawer.showModal();
      drawer.setAttribute("aria-labelledby", article.id + ".title");
      document.querySelectorAll(".target").forEach(function (one) { one.classList.remove("target"); });
      if (target !== article) {
        target.classList.add("target");
        target.scrollIntoView({ block: "center" });
        target.focus({ preventScroll: true });
      } else {
        body.focus({ preventScroll: true });
      }
    }
    function closed() {
      if (!shown) return;
      var element = document.getElementById(address().id);
      if (element && element.closest("article.run")) history.replaceState(null, "", "#" + page.id);
      putBack();
      if (opener && opener.offsetParent) opener.focus({ preventScroll: true });
      opener = null;
    }
    function close() {
      if (drawer.open) drawer.close();
      closed();
    }
    drawer.addEventListener("close", closed); // Escape
    function route() {
      var element = document.getElementById(address().id);
      var article = element && element.closest("article.run");
      if (article) {
        if (!page.classList.contains("current")) showPage(page);
        open(article, element);
        return;
      }
      var wanted = (element && element.closest(".page")) || pages[0];
      close();
      showPage(wanted);
      document.querySelectorAll(".target").forEach(function (one) { one.classList.remove("target"); });
      if (element && element !== wanted && wanted.contains(element)) {
        history.replaceState(null, "", "#" + element.id);
        element.classList.add("target");
        element.scrollIntoView({ block: "center" });
      } else {
        window.scrollTo(0, 0);
      }
    }
    window.addEventListener("hashchange", route);
    showPage(page);
    route();

    // ---- on a phone rows are drawn as cards; what they are is said in any case
    var roles = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
    document.querySelectorAll("table.summary, table.stack").forEach(function (table) {
      [table].concat(Array.prototype.slice.call(table.querySelectorAll("thead, tbody, tr, td, th"))).forEach(function (one) {
        one.setAttribute("role", roles[one.tagName] || (one.scope.indexOf("col") === 0 ? "columnheader" : "rowheader"));
      });
    });

    // ---- a table that fits needs no window of its own, and its head can stay under the bar
    function fit() {
      document.querySelectorAll(".page.current .block > .scroll").forEach(function (box) {
        box.classList.remove("fits");
        box.classList.toggle("fits", box.firstElementChild.offsetWidth <= box.clientWidth);
      });
    }
    window.addEventListener("resize", fit);
    fit();

    // ---- clicks: one listener, no handlers in the data
    var said = document.getElementById("said");
    function copied(control, good) {
      var before = control.textContent;
      control.textContent = good ? "Copied" : "Not copied: select and copy below";
      said.textContent = control.textContent;
      setTimeout(function () { control.textContent = before; }, 2000);
    }
    function copy(control) {
      var text = document.getElementById(control.dataset.copy).textContent;
      function byHand() {
        var area = document.createElement("textarea");
        area.value = text;
        control.parentNode.appendChild(area);
        area.select();
        var good = false;
        try { good = document.execCommand("copy"); } catch (error) { good = false; }
        area.remove();
        copied(control, good);
      }
      if (navigator.clipboard && window.isSecureContext) {
        navigator.clipboard.writeText(text).then(function () { copied(control, true); }, byHand);
      } else {
        byHand();
      }
    }
    document.addEventListener("click", function (event) {
      var target = event.target;
      if (target === drawer) { close(); return; }
      var link = target.closest('a[href^="#"]');
      if (link && !drawer.contains(link)) opener = link;
      var control = target.closest("[data-copy], [data-close], [data-step]");
      if (!control) return;
      if (control.dataset.copy) copy(control);
      else if (control.dataset.step) {
        var next = runs[(runs.indexOf(shown) + Number(control.dataset.step) + runs.length) % runs.length];
        location.hash = next.id;
      } else close();
    });
    document.addEventListener("change", function (event) {
      var box = event.target.closest("[data-earlier]");
      if (box) document.getElementById("table-" + box.dataset.earlier).classList.toggle("all", box.checked);
    });

    // ---- the data behind a plot: its CSV becomes a table when it is asked for
    function parse(text) {
      var rows = [], row = [], field = "", quoted = false;
      for (var i = 0; i < text.length; i++) {
        var c = text[i];
        if (quoted) {
          if (c === '"' && text[i + 1] === '"') { field += c; i++; }
          else if (c === '"') quoted = false;
          else field += c;
        } else if (c === '"') quoted = true;
        else if (c === ",") { row.push(field); field = ""; }
        else if (c === "\n") { row.push(field); rows.push(row); row = []; field = ""; }
        else field += c;
      }
      return rows;
    }
    function cell(kind, text, scope) {
      var made = document.createElement(kind);
      if (scope) made.scope = scope;
      made.textContent = text;
      return made;
    }
    document.addEventListener("toggle", function (event) {
      var details = event.target;
      var csv = details.open && details.matches("details.data") && details.querySelector("pre.csv:not([hidden])");
      if (!csv) return;
      var rows = parse(csv.textContent);
      var table = document.createElement("table");
      table.className = "sheet points";
      var head = table.createTHead().insertRow();
      rows[0].forEach(function (one) { head.appendChild(cell("th", one, "col")); });
      var tbody = table.createTBody();
      rows.slice(1).forEach(function (row) {
        var line = tbody.insertRow();
        row.forEach(function (one) { line.appendChild(cell("td", one)); });
      });
      var box = document.createElement("div");
      box.className = "points-box";
      box.tabIndex = 0;
      box.appendChild(table);
      csv.hidden = true;
      details.appendChild(box);
    }, true);

    // ---- print: all pages; with the drawer open only its run
    window.addEventListener("beforeprint", function () {
      if (!shown) return;
      root.classList.add("print-run");
      shown.classList.add("printed");
      home.insertBefore(shown, home.firstChild);
    });
    window.addEventListener("afterprint", function () {
      if (!root.classList.contains("print-run")) return;
      root.classList.remove("print-run");
      shown.classList.remove("printed");
      body.replaceChildren(shown);
    });
  });
})();
