"use strict";
// Sorting, filtering and unfolding of a ranking's page. What it shows was computed before; nothing is fetched.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = data.candidates;
  const state = { base: null, text: "", every: false };
  const kept = (d) => (state.base === null || d.base === state.base) && d.name.toLowerCase().includes(state.text);
  const draw = drawer(data, kept);

  // ---- the table
  const table = document.querySelector("table.candidates");
  const bodies = [...table.tBodies];
  const rest = document.querySelector(".rest");
  const fill = () => {
    let shown = 0;
    const searching = state.base !== null || state.text !== "";
    for (const body of table.tBodies) {
      const fits = kept(all[+body.dataset.at]);
      if (fits) shown += 1;
      body.hidden = !fits || (!searching && !state.every && shown > data.first_rows);
    }
    if (rest) rest.hidden = state.every || searching;
    const none = document.getElementById("none");
    none.hidden = shown > 0;
  };
  for (const button of table.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const key = button.dataset.key;
      const up =
        head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && !button.dataset.down);
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (body) => all[+body.dataset.at][key];
      bodies.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return (up ? 1 : -1) * (typeof x === "string" ? x.localeCompare(y) : x - y);
      });
      table.append(...bodies);
      fill();
    });
  }
  for (const body of bodies) {
    const [row, more] = body.rows;
    const button = row.querySelector(".who button");
    row.addEventListener("click", () => {
      more.hidden = !more.hidden;
      button.setAttribute("aria-expanded", String(!more.hidden));
    });
  }
  if (rest)
    rest.querySelector("button").addEventListener("click", () => {
      state.every = true;
      fill();
    });

  // ---- the filters, of the table and of every figure
  const buttons = [...document.querySelectorAll(".controls button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      state.base = button.dataset.base === "" ? null : +button.dataset.base;
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
      fill();
      draw();
    });
  }
  const search = document.getElementById("search");
  if (search)
    search.addEventListener("input", () => {
      state.text = search.value.trim().toLowerCase();
      fill();
      draw();
    });

  let last = 0;
  new ResizeObserver(() => {
    const width = document.querySelector("main").clientWidth;
    if (width !== last) {
      last = width;
      draw();
    }
  }).observe(document.querySelector("main"));
  document.documentElement.dataset.ready = "yes";
  fill();
})();
