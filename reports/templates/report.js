"use strict";
(function () {
  var root = document.documentElement;
  var themes = ["auto", "light", "dark"];
  root.classList.add("js");

  // ---- the state: in the address (#page?lang=zh&theme=dark), else as stored; a file:// page may not have storage
  function stored(name, value) {
    try {
      if (value !== undefined) localStorage.setItem("socbench-" + name, value);
      return localStorage.getItem("socbench-" + name);
    } catch (error) {
      return null;
    }
  }
  function address() {
    var hash = location.hash.slice(1), mark = hash.indexOf("?");
    var id = mark < 0 ? hash : hash.slice(0, mark);
    try { id = decodeURIComponent(id); } catch (error) { id = ""; }
    return { id: id, query: new URLSearchParams(mark < 0 ? "" : hash.slice(mark + 1)) };
  }
  function write(id, query) {
    var said = query.toString();
    history.replaceState(null, "", "#" + encodeURIComponent(id) + (said ? "?" + said : ""));
  }
  function put(changes) {
    var now = address();
    Object.keys(changes).forEach(function (name) {
      if (changes[name] === null || changes[name] === "") now.query.delete(name);
      else now.query.set(name, changes[name]);
    });
    write(now.id || (page ? page.id : ""), now.query);
  }
  function theme(name) {
    if (themes.indexOf(name) < 0) name = "auto";
    if (name === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", name);
    var button = document.getElementById("theme");
    if (button) {
      var words = { en: { auto: "auto", light: "light", dark: "dark" }, zh: { auto: "自动", light: "浅色", dark: "深色" } }[root.lang];
      button.textContent = words[name];
      button.setAttribute("aria-label", (root.lang === "zh" ? "主题：" : "Theme: ") + words[name]);
    }
    return name;
  }
  var words = null; // words that stand many times: [English, Chinese], by number
  function texts(within) {
    var list = document.getElementById("words");
    if (!words) words = list ? JSON.parse(list.textContent).words : [];
    var own = root.lang === "zh" ? 1 : 0;
    within.querySelectorAll("[data-w]").forEach(function (one) {
      var said = words[Number(one.dataset.w)][own];
      if (one.dataset.v) { // what is put into its blanks; "~12" stands for words of the list
        var values = one.dataset.v.split("|").map(function (value) { return value.replace(/~(\d+)/g, function (all, at) { return words[Number(at)][own]; }); });
        said = said.replace(/\{(\d)\}/g, function (all, at) { return values[Number(at)]; });
      }
      one.textContent = said;
      if (one.parentElement && one.parentElement.closest("[lang]") !== root) one.lang = root.lang;
    });
    within.querySelectorAll("[data-a]").forEach(function (one) { // number of the words, then where they go
      var parts = one.dataset.a.split(" "), said = words[Number(parts[0])][own];
      parts.slice(1).forEach(function (into) {
        if (into === "text") one.textContent = said;
        else one.setAttribute(into, said);
      });
    });
    within.querySelectorAll("[data-into]").forEach(function (one) {
      one.dataset.into.split(" ").forEach(function (into) {
        var said = one.dataset[root.lang];
        if (into === "text") one.textContent = said;
        else one.setAttribute(into, said);
      });
    });
  }
  function language(name) {
    root.lang = name === "zh" ? "zh" : "en";
    root.dataset.lang = root.lang;
    if (document.body) {
      texts(document);
      theme(now);
      document.dispatchEvent(new CustomEvent("socbench:lang", { detail: { lang: root.lang } }));
    }
  }
  var page = null;
  var kept = {}; // what was chosen, to go along to other pages
  ["theme", "lang"].forEach(function (name) {
    var asked = address().query.get(name);
    if (asked) kept[name] = asked;
  });
  language(kept.lang || stored("lang") || ((navigator.language || "").indexOf("zh") === 0 ? "zh" : "en"));
  var now = theme(kept.theme || stored("theme") || "auto");
  window.socbench = {
    query: function () { return address().query; },
    put: put,
    page: function () { return page ? page.id : ""; },
    lang: function () { return root.lang; },
    texts: texts,
  };

  document.addEventListener("DOMContentLoaded", function () {
    var pages = Array.prototype.slice.call(document.querySelectorAll(".page"));
    var runs = Array.prototype.slice.call(document.querySelectorAll("article.run"));
    var drawer = document.getElementById("drawer");
    var body = document.getElementById("drawer-body");
    var home = document.getElementById("runs");
    page = pages[0];
    var shown = null;
    var opener = null;

    var evidence = document.getElementById("evidence"); // it opens over any page: it cannot stay inside one that may be hidden
    if (evidence) document.body.appendChild(evidence);
    ["theme", "language"].forEach(function (id) { document.getElementById(id).hidden = false; });
    language(root.lang);
    document.getElementById("theme").addEventListener("click", function () {
      now = theme(themes[(themes.indexOf(now) + 1) % themes.length]);
      stored("theme", now);
      kept.theme = now === "auto" ? null : now;
      put({ theme: kept.theme });
    });
    document.getElementById("language").addEventListener("click", function () {
      var place = anchor();
      language(root.lang === "en" ? "zh" : "en");
      stored("lang", root.lang);
      kept.lang = root.lang;
      put({ lang: root.lang });
      fit();
      if (place) window.scrollBy(0, place.element.getBoundingClientRect().top - place.top);
    });
    function anchor() { // what stands first in the window, to be there still when the language has changed
      var found = document.elementFromPoint(innerWidth / 2, 90);
      return found && found.closest("main") ? { element: found.closest("tr, p, li, h1, h2, h3, section") || found, top: found.getBoundingClientRect().top } : null;
    }

    // ---- pages and drawer: an id in the address shows the page, or opens the run, that holds the element
    function showPage(wanted) {
      page = wanted;
      pages.forEach(function (one) { one.classList.toggle("current", one === page); });
      document.querySelectorAll("nav a[data-page]").forEach(function (link) {
        if (link.dataset.page === page.id) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      });
      fit();
      document.dispatchEvent(new CustomEvent("socbench:page", { detail: { page: page.id } }));
    }
    function reach(element) {
      if (!element.hasAttribute("tabindex")) element.tabIndex = -1;
      element.focus({ preventScroll: true });
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
        reach(target);
      } else {
        body.focus({ preventScroll: true });
      }
    }
    function closed() {
      if (!shown) return;
      var element = document.getElementById(address().id);
      if (element && element.closest("article.run")) write(page.id, address().query);
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
      if (Object.keys(kept).some(function (name) { return kept[name] && !address().query.get(name); })) put(kept);
      var element = document.getElementById(address().id);
      var article = element && element.closest("article.run");
      if (article) {
        if (!page.classList.contains("current")) showPage(page);
        open(article, element);
        return;
      }
      var wanted = (element && element.closest(".page")) || pages[0];
      close();
      var turned = wanted !== page || !wanted.classList.contains("current");
      showPage(wanted);
      document.querySelectorAll(".target").forEach(function (one) { one.classList.remove("target"); });
      if (element && element !== wanted && wanted.contains(element)) {
        for (var fold = element.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
        element.classList.add("target");
        element.scrollIntoView({ block: element.matches("details, section") ? "start" : "center" });
        reach(element);
      } else if (turned) {
        window.scrollTo(0, 0);
      }
    }
    window.addEventListener("hashchange", route);
    showPage(page);
    route();

    // ---- the formulas stand once in the file, on the page Method
    document.querySelectorAll("[data-formula]").forEach(function (one) {
      var row = document.getElementById("metric-" + one.dataset.formula);
      if (row) one.textContent = row.querySelector(".formula").textContent;
    });

    // ---- on a phone rows are drawn as cards; what they are is said in any case
    var roles = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
    document.querySelectorAll("table.summary, table.stack").forEach(function (table) {
      [table].concat(Array.prototype.slice.call(table.querySelectorAll("thead, tbody, tr, td, th"))).forEach(function (one) {
        if (one.tagName === "TH" && !one.scope) one.scope = "row";
        one.setAttribute("role", roles[one.tagName] || (one.scope.indexOf("col") === 0 ? "columnheader" : "rowheader"));
      });
    });

    // ---- on a phone each cell says what column it is of
    function labels() {
      document.querySelectorAll("table.stack").forEach(function (table) {
        var titles = Array.prototype.map.call(table.tHead ? table.tHead.rows[0].cells : [], function (one) {
          var copy = one.cloneNode(true);
          copy.querySelectorAll(".l:not([lang=" + root.lang + "])").forEach(function (other) { other.remove(); });
          return copy.textContent.trim();
        });
        table.querySelectorAll("tbody tr").forEach(function (row) {
          var place = 0;
          Array.prototype.forEach.call(row.cells, function (one) {
            if (place && titles[place] && !one.dataset.into && !one.dataset.a) one.dataset.label = titles[place];
            place += one.colSpan;
          });
        });
      });
    }
    document.addEventListener("socbench:lang", labels);
    labels();

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
      if (control.dataset.said) return;
      var before = Array.prototype.slice.call(control.childNodes);
      control.dataset.said = "1";
      control.textContent = root.lang === "zh" ? (good ? "已复制" : "未能复制：请在下方选中后复制") : (good ? "Copied" : "Not copied: select and copy below");
      said.textContent = control.textContent;
      setTimeout(function () { control.replaceChildren.apply(control, before); delete control.dataset.said; }, 2000);
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
