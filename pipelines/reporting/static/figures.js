"use strict";
// Draws every figure of the page in the colours of the reader's theme.
(function () {
  function theme() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    return { text: get("--text"), quiet: get("--quiet"), line: get("--line") };
  }
  function themed(layout, target) {
    const colours = theme();
    const copy = Object.assign({}, layout, {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: Object.assign({}, layout.font, { color: colours.text }),
    });
    // A phone shows fewer days, in a taller plot: the menu of lines takes its room.
    const narrow = layout.meta && layout.meta.narrow;
    if (narrow && target.clientWidth < 560) {
      copy.height = narrow.height;
      copy.xaxis = Object.assign({}, copy.xaxis, { range: narrow.range });
    }
    for (const key of Object.keys(copy)) {
      if (/^[xy]axis\d*$/.test(key)) {
        copy[key] = Object.assign({}, copy[key], {
          gridcolor: colours.line, linecolor: colours.line, zerolinecolor: colours.line,
          tickfont: { color: colours.quiet },
        });
      }
    }
    return copy;
  }
  const config = { displayModeBar: false, responsive: true };
  const drawn = [];
  const byName = {};
  for (const source of document.querySelectorAll("script.figure-data")) {
    const figure = JSON.parse(source.textContent);
    const target = document.getElementById(source.dataset.target);
    if (typeof Plotly === "undefined") {
      target.textContent = "The plotting library assets/plotly-*.min.js is missing beside this page.";
      continue;
    }
    Plotly.newPlot(target, figure.data, themed(figure.layout, target), config);
    drawn.push([target, figure]);
    byName[source.dataset.target] = [target, figure];
  }

  // One figure for many nodes: a choice replaces the heights of its lines and bars, nothing else.
  for (const source of document.querySelectorAll("script.figure-choices")) {
    const { target: name, choices } = JSON.parse(source.textContent);
    const select = document.querySelector(`select[data-figure="${name}"]`);
    const words = document.querySelector(`[data-words="${name}"]`);
    const known = Object.fromEntries(choices.map((choice) => [choice.name, choice]));
    function choose(value) {
      const choice = known[value];
      if (!choice) return;
      select.value = value;
      words.textContent = choice.words;
      if (!byName[name]) return;
      const [target, figure] = byName[name];
      choice.y.forEach((heights, i) => { figure.data[i].y = heights; });
      if (choice.x) choice.x.forEach((places, i) => { figure.data[i].x = places; });
      for (const trace of figure.data) if (trace.meta === "promo") trace.text = choice.promo;
      Plotly.react(target, figure.data, themed(figure.layout, target), config);
    }
    select.addEventListener("change", () => choose(select.value));
    // Links of the form #show=<name>, also from elsewhere.
    function follow() {
      const wanted = decodeURIComponent(location.hash).match(/^#show=(.*)$/);
      if (!wanted || !known[wanted[1]]) return;
      choose(wanted[1]);
      select.closest("div").scrollIntoView({ block: "start" });
    }
    addEventListener("hashchange", follow);
    choose(select.value);
    follow();
  }
  function redraw() {
    for (const [target, figure] of drawn) Plotly.react(target, figure.data, themed(figure.layout, target), config);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", redraw);

  // Ages are told by the reader's clock: a page that nobody rebuilt must look old.
  for (const element of document.querySelectorAll("time[data-age]")) {
    const hours = (Date.now() - Date.parse(element.dateTime)) / 3.6e6;
    const words = hours < 1 ? "less than an hour ago" : hours < 48 ? Math.round(hours) + " hours ago"
      : Math.round(hours / 24) + " days ago";
    if (hours >= 0) element.append(" (" + words + ")");
  }
})();
