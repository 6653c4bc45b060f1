"use strict";
// A table of many rows: search, filters, sorting, pages, CSV. Text only ever becomes text nodes.
(function () {
  const THIN = "\u202f";
  const grouped = (value, digits) => {
    const [whole, rest] = Math.abs(value).toFixed(digits).split(".");
    const sign = value < 0 && Number(value.toFixed(digits)) !== 0 ? "\u2212" : "";
    return sign + whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN) + (rest ? "." + rest : "");
  };
  const NUMERIC = new Set(["number", "units", "euros", "days", "percent", "change"]);
  const COLLATOR = new Intl.Collator();
  const TONES = { critical: "bad", high: "warn" };

  function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined && text !== null) node.textContent = text;
    return node;
  }

  // How each kind of cell is drawn; `get(i)` gives the value of the column's i-th field.
  const CELLS = {
    text: (cell, get) => { cell.textContent = get(0) ?? "\u2013"; },
    two_lines: (cell, get) => {
      cell.append(element("div", "title", get(0) ?? get(1)), element("div", "subtitle", get(1)));
    },
    list: (cell, get, n) => {
      const list = element("ul");
      for (let i = 0; i < n; i++) if (get(i)) list.append(element("li", "", get(i)));
      cell.append(list);
    },
    number: (cell, get) => { cell.textContent = get(0) === null ? "\u2013" : grouped(get(0), 0); },
    units: (cell, get) => { cell.textContent = get(0) === null ? "\u2013" : grouped(get(0), Math.abs(get(0)) < 10 ? 1 : 0); },
    change: (cell, get) => {
      const share = get(0);
      cell.textContent = share === null ? "\u2013" : (share > 0.0005 ? "+" : "") + grouped(100 * share, Math.abs(share) < 0.0995 ? 1 : 0) + THIN + "%";
    },
    percent: (cell, get) => { cell.textContent = get(0) === null ? "\u2013" : grouped(100 * get(0), 0) + THIN + "%"; },
    euros: (cell, get) => { cell.textContent = get(0) === null ? "\u2013" : grouped(get(0), 0) + THIN + "EUR"; },
    days: (cell, get) => {
      const days = get(0);
      cell.textContent = days === null ? "\u2013" : days === 0 ? "today" : grouped(days, 0) + (days === 1 ? " day" : " days");
    },
    level: (cell, get) => {
      const share = get(0), level = get(1), tone = TONES[level] || "";
      cell.append(element("strong", "", grouped(100 * share, share < 0.1 ? 1 : 0) + THIN + "%"), " ", element("span", "badge " + tone, level));
      const meter = element("span", "meter"), fill = element("span", tone);
      fill.style.width = Math.max(1, 100 * share) + "%";
      meter.setAttribute("aria-hidden", "true");
      meter.append(fill);
      cell.append(meter);
    },
  };

  function reader(column) {
    return column.d ? (row) => (column.i[row] === null ? null : column.d[column.i[row]]) : (row) => column.v[row];
  }

  function setUp(root) {
    const payload = JSON.parse(root.querySelector("script.grid-data").textContent);
    const read = Object.fromEntries(Object.entries(payload.data).map(([name, column]) => [name, reader(column)]));
    const haystack = Array.from({ length: payload.count }, (_, row) =>
      payload.search.map((field) => read[field](row) ?? "").join("\n").toLowerCase());
    const all = Array.from({ length: payload.count }, (_, row) => row);
    const state = { rows: all, page: 0, sort: null, descending: false };
    const body = root.querySelector("tbody");
    const search = root.querySelector("input[type=search]");
    const choices = [...root.querySelectorAll("select[data-field]")];
    const order = root.querySelector("select[data-order]");
    const status = root.querySelector("[role=status]");
    const previous = root.querySelector("[data-move='-1']");
    const next = root.querySelector("[data-move='1']");
    const headings = [...root.querySelectorAll("thead th")];

    function select() {
      const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = choices.filter((choice) => choice.value !== "").map((choice) => [read[choice.dataset.field], choice.value]);
      state.rows = all.filter((row) =>
        wanted.every(([get, value]) => get(row) === value) && terms.every((term) => haystack[row].includes(term)));
      if (state.sort !== null) {
        const get = read[payload.columns[state.sort].fields[0]];
        const sign = state.descending ? -1 : 1;
        state.rows.sort((a, b) => {
          const x = get(a), y = get(b);
          if (x === null || y === null) return (x === null) - (y === null) || a - b;  // missing last
          const compared = typeof x === "string" ? COLLATOR.compare(x, y) : x - y;
          return sign * compared || a - b;
        });
      }
      state.page = 0;
      draw();
    }

    function draw() {
      const size = payload.pageSize, first = state.page * size;
      const shown = state.rows.slice(first, first + size);
      body.replaceChildren(...shown.map((row) => {
        const line = element("tr");
        for (const column of payload.columns) {
          const cell = element("td", NUMERIC.has(column.kind) ? "number" : "");
          cell.dataset.label = column.label;
          cell.dataset.kind = column.kind;
          CELLS[column.kind](cell, (i) => read[column.fields[i]](row) ?? null, column.fields.length);
          line.append(cell);
        }
        return line;
      }));
      const total = state.rows.length;
      status.textContent = total === 0 ? "Nothing matches: clear the search or a filter."
        : `${grouped(first + 1, 0)} to ${grouped(first + shown.length, 0)} of ${grouped(total, 0)}` +
          (total < payload.count ? ` (${grouped(payload.count, 0)} in all)` : "");
      previous.disabled = state.page === 0;
      next.disabled = first + size >= total;
      headings.forEach((heading, i) => {
        if (i === state.sort) heading.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
        else heading.removeAttribute("aria-sort");
      });
    }

    function sortBy(column, descending) {
      state.sort = column;
      state.descending = descending;
      select();
    }

    function csv() {
      // A leading apostrophe keeps spreadsheets from running a text that looks like a formula.
      const quoted = (value) => {
        if (value === null || value === undefined) return "";
        if (typeof value === "number") return String(value);
        const safe = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
        return '"' + safe.replaceAll('"', '""') + '"';
      };
      const lines = [payload.export.map((column) => quoted(column.label)).join(",")];
      for (const row of state.rows) lines.push(payload.export.map((column) => quoted(read[column.field](row))).join(","));
      const link = element("a");
      link.href = URL.createObjectURL(new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv;charset=utf-8" }));
      link.download = payload.name + ".csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }

    let waiting;
    search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(select, 120); });
    choices.forEach((choice) => choice.addEventListener("change", select));
    headings.forEach((heading, i) => heading.querySelector("button").addEventListener("click", () => {
      const textual = !NUMERIC.has(payload.columns[i].kind) && payload.columns[i].kind !== "level";
      sortBy(i, state.sort === i ? !state.descending : !textual);
    }));
    order.addEventListener("change", () => {
      if (order.value === "") { state.sort = null; select(); return; }
      const [column, direction] = order.value.split(":");
      sortBy(Number(column), direction === "down");
    });
    for (const button of [previous, next]) {
      button.addEventListener("click", () => {
        state.page += Number(button.dataset.move);
        draw();
        root.scrollIntoView({ block: "start" });
      });
    }
    root.querySelector("[data-csv]").addEventListener("click", csv);
    select();
  }

  for (const root of document.querySelectorAll(".grid")) setUp(root);
})();
