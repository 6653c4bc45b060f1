"use strict";
// Draws every figure of the page in the colours of the reader's theme.
(function () {
  function theme() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    return { text: get("--text"), quiet: get("--quiet"), line: get("--line") };
  }
  function themed(layout) {
    const colours = theme();
    const copy = Object.assign({}, layout, {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: Object.assign({}, layout.font, { color: colours.text }),
    });
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
  for (const source of document.querySelectorAll("script.figure-data")) {
    const figure = JSON.parse(source.textContent);
    const target = document.getElementById(source.dataset.target);
    if (typeof Plotly === "undefined") {
      target.textContent = "The plotting library assets/plotly-*.min.js is missing beside this page.";
      continue;
    }
    Plotly.newPlot(target, figure.data, themed(figure.layout), config);
    drawn.push([target, figure]);
  }
  function redraw() {
    for (const [target, figure] of drawn) Plotly.react(target, figure.data, themed(figure.layout), config);
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
