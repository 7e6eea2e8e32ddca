"use strict";
// The figures of a ranking's page, drawn by Observable Plot for the width there is; colours are those of the style sheet.
const drawer = (data, kept) => {
  const all = data.candidates;
  const colour = (d) => (data.bases.length > 1 ? `var(--c${Math.min(d.base, 5)})` : "var(--accent)");
  const symbols = [
    d3.symbolCircle,
    d3.symbolSquare,
    d3.symbolTriangle,
    d3.symbolDiamond,
    d3.symbolStar,
    d3.symbolCross,
  ];
  const show = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const short = (name, most) => {
    if (name.length <= most) return name;
    const head = Math.ceil((most - 1) * 0.6);
    return `${name.slice(0, head)}…${name.slice(name.length - (most - 1 - head))}`;
  };
  const place = (d) => (d.rank === null ? "" : `#${d.rank} `);
  const said = (d) =>
    [
      `${place(d)}${short(d.name, 44)}`,
      d.predicted === null ? null : `predicted ${show(d.predicted)} (${show(d.low)} to ${show(d.high)})`,
      d.actual === null ? null : `RL gave ${show(d.actual)}`,
      d.first.length ? `first by ${d.first.join(", ")}` : null,
    ]
      .filter(Boolean)
      .join("\n");

  const frame = (width, height, options) =>
    Plot.plot({
      width,
      height,
      marginTop: 22,
      marginBottom: 38,
      marginLeft: 46,
      marginRight: 16,
      style: { background: "transparent", color: "inherit" },
      ...options,
    });
  const axes = { line: false, tickSize: 0, labelArrow: "none", nice: false };
  const grid = [Plot.gridY({ ticks: 6, stroke: "var(--line)", strokeOpacity: 1 })];
  const ruled = (domain) => ({ ...axes, domain, labelAnchor: "center" });
  // Labels beside their marks: each at the side where it covers least of what is drawn, its own size known in advance.
  const letter = 6.4;
  const placed = (labels, points, box) => {
    const taken = [];
    const over = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
    const beside = (label) => {
      const w = label.text.length * letter;
      const at = [
        [9, 4, "start"],
        [-9, 4, "end"],
        [0, -10, "middle"],
        [0, 18, "middle"],
        [9, -9, "start"],
        [-9, -9, "end"],
        [9, 17, "start"],
        [-9, 17, "end"],
      ];
      let best = null;
      for (const [dx, dy, anchor] of at) {
        const x = label.x + dx - (anchor === "end" ? w : anchor === "middle" ? w / 2 : 0);
        const area = { x: x - 2, y: label.y + dy - 12, w: w + 4, h: 16 };
        const out =
          area.x < box.x || area.x + area.w > box.x + box.w || area.y < box.y || area.y + area.h > box.y + box.h;
        const under = points.filter(
          (p) => p.x > area.x - 4 && p.x < area.x + area.w + 4 && p.y > area.y - 4 && p.y < area.y + area.h + 4,
        );
        const cost =
          (out ? 100 : 0) + 50 * taken.filter((other) => over(area, other)).length + d3.sum(under, (p) => p.cost ?? 50);
        if (best === null || cost < best.cost) best = { cost, dx, dy, anchor, area };
      }
      // Rather a number alone than a name over other marks.
      if (best.cost > 3 && label.brief && label.brief !== label.text) return beside({ ...label, text: label.brief });
      if (best.cost >= 50) return null;
      taken.push(best.area);
      return { ...label, ...best };
    };
    return labels.map(beside).filter(Boolean);
  };
  // Labels at the ends of lines, moved up and down until none touches the next.
  const apart = (labels) => {
    const sorted = [...labels].sort((a, b) => a.y - b.y);
    for (let turn = 0; turn < 60; turn += 1) {
      for (const [above, below] of d3.pairs(sorted)) {
        const gap = 15 - (below.y - above.y);
        if (gap > 0) {
          below.y += gap / 2;
          above.y -= gap / 2;
        }
      }
    }
    return sorted;
  };
  const write = (svg, labels) => {
    for (const label of labels) {
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      text.setAttribute("x", label.x + label.dx);
      text.setAttribute("y", label.y + label.dy);
      text.setAttribute("text-anchor", label.anchor);
      text.setAttribute("fill", label.fill ?? "var(--ink)");
      text.setAttribute("font-weight", label.weight ?? 500);
      text.setAttribute("class", "label");
      text.textContent = label.text;
      svg.append(text);
    }
  };
  const spread = (values, room) => {
    const [low, high] = d3.extent(values);
    const pad = Math.max((high - low) * room, 1e-9);
    return [low - pad, high + pad];
  };
  const percents = (values, room = 0.06) => {
    const [low, high] = spread(values, room);
    return data.share ? [Math.max(0, low), Math.min(100, high)] : [low, high];
  };
  const important = (d) => d.taken || d.first.length > 0;
  const named = (list) =>
    list
      .filter(important)
      .sort((a, b) => b.taken - a.taken || (a.rank ?? 1e9) - (b.rank ?? 1e9))
      .slice(0, 5);

  const figures = {
    // Pass@k against k: the choices as bold lines with a name at their end, the band of the first, the rest faint.
    curves(width) {
      const list = all.filter((d) => d.curve.length > 1 && kept(d));
      if (!list.length) return null;
      const points = list.flatMap((d) => d.curve.map(([k, y, low, high]) => ({ d, k, y, low, high })));
      const ks = [...new Set(points.map((p) => p.k))].sort((a, b) => a - b);
      const chosen = named(list);
      const narrow = width < 620;
      const text = (d) => (narrow ? `#${d.rank ?? "–"}` : `#${d.rank ?? "–"} ${short(d.name, 30)}`);
      const right = 14 + letter * d3.max(chosen, (d) => text(d).length) || 16;
      const height = narrow ? 300 : 400;
      const ys = percents(
        [
          ...points.map((p) => p.y),
          ...points.filter((p) => chosen[0] === p.d && p.low !== null).flatMap((p) => [p.low, p.high]),
        ],
        0.04,
      );
      const line = (d, options) =>
        Plot.line(
          points.filter((p) => p.d === d),
          { x: "k", y: "y", stroke: colour(d), ...options },
        );
      const band = points.filter((p) => p.d === chosen[0] && p.low !== null);
      const svg = frame(width, height, {
        marginRight: right,
        x: {
          type: "log",
          base: 2,
          ...ruled(d3.extent(ks)),
          ticks: ks,
          tickFormat: (k) => (narrow && Math.log2(k) % 2 ? "" : `${k}`),
          label: "k, samples a problem",
        },
        y: { ...ruled(ys), label: "Pass@k before RL, %", labelAnchor: "top", ticks: 6 },
        marks: [
          ...grid,
          Plot.areaY(band, {
            x: "k",
            y1: "low",
            y2: "high",
            fill: chosen.length ? colour(chosen[0]) : "none",
            fillOpacity: 0.16,
          }),
          ...list.filter((d) => !chosen.includes(d)).map((d) => line(d, { strokeWidth: 1, strokeOpacity: 0.32 })),
          ...chosen.map((d) => line(d, { strokeWidth: 2.2 })),
          Plot.dot(points, Plot.pointer({ x: "k", y: "y", r: 4, fill: (p) => colour(p.d), maxRadius: 40 })),
          Plot.tip(
            points,
            Plot.pointer({
              x: "k",
              y: "y",
              maxRadius: 40,
              title: (p) =>
                `${place(p.d)}${short(p.d.name, 44)}\nPass@${p.k}  ${show(p.y)} %${p.low === null ? "" : ` (${show(p.low)} to ${show(p.high)})`}`,
            }),
          ),
        ],
      });
      const x = svg.scale("x"),
        y = svg.scale("y");
      const ends = chosen.map((d) => {
        const [k, value] = d.curve.at(-1);
        return { d, x: x.apply(k), y: y.apply(value) };
      });
      write(
        svg,
        apart(ends).map((e) => ({
          x: e.x,
          y: e.y,
          dx: 9,
          dy: 4,
          anchor: "start",
          text: text(e.d),
          fill: colour(e.d),
          weight: e.d.taken ? 700 : 500,
        })),
      );
      return svg;
    },
    // Held-out loss against Pass@k.
    loss(width) {
      const list = all.filter((d) => d.loss !== null && d.large !== null && kept(d));
      if (list.length < 2) return null;
      const height = Math.min(380, Math.max(280, width * 0.75));
      const svg = frame(width, height, {
        x: {
          ...ruled(
            spread(
              list.map((d) => d.loss),
              0.06,
            ),
          ),
          label: "held-out loss, nats per token",
          ticks: Math.max(3, width / 90),
        },
        y: {
          ...ruled(percents(list.map((d) => d.large))),
          label: `Pass@${data.large_k} before RL, %`,
          labelAnchor: "top",
          ticks: 6,
        },
        r: { type: "identity" },
        symbol: { type: "identity" },
        marks: [
          ...grid,
          Plot.dot(list, {
            x: "loss",
            y: "large",
            r: (d) => (important(d) ? 7 : 5),
            symbol: (d) => symbols[Math.min(d.base, 5)],
            fill: (d) => colour(d),
            fillOpacity: (d) => (important(d) ? 1 : 0.55),
            stroke: "var(--paper)",
            strokeWidth: 0.75,
          }),
          Plot.tip(
            list,
            Plot.pointer({
              x: "loss",
              y: "large",
              maxRadius: 30,
              title: (d) => `${said(d)}\nloss ${show(d.loss, 3)}, Pass@${data.large_k} ${show(d.large)} %`,
            }),
          ),
        ],
      });
      label(svg, list, "loss", "large", width, height);
      return svg;
    },
    // Predicted against actual, with the interval of the prediction.
    actual(width) {
      const list = all.filter((d) => d.actual !== null && d.predicted !== null && !d.finished && kept(d));
      if (list.length < 2) return null;
      const height = Math.min(380, Math.max(280, width * 0.75));
      const domain = percents(
        list.flatMap((d) => [d.low, d.high, d.actual]),
        0.03,
      );
      const inside = (d) => d.actual >= d.low && d.actual <= d.high;
      const svg = frame(width, height, {
        x: { ...ruled(domain), label: `predicted${data.unit}, 90 % interval`, ticks: 5 },
        y: { ...ruled(domain), label: `after RL${data.unit}`, labelAnchor: "top", ticks: 6 },
        r: { type: "identity" },
        symbol: { type: "identity" },
        marks: [
          ...grid,
          Plot.line(
            [
              [domain[0], domain[0]],
              [domain[1], domain[1]],
            ],
            { stroke: "var(--soft)", strokeDasharray: "3,3" },
          ),
          Plot.ruleY(list, {
            y: "actual",
            x1: "low",
            x2: "high",
            stroke: (d) => colour(d),
            strokeOpacity: (d) => (inside(d) ? 0.35 : 0.8),
            strokeWidth: 1.5,
          }),
          Plot.dot(list, {
            x: "predicted",
            y: "actual",
            r: (d) => (important(d) ? 6 : 4),
            symbol: (d) => symbols[Math.min(d.base, 5)],
            fill: (d) => (inside(d) ? colour(d) : "var(--paper)"),
            stroke: (d) => colour(d),
            strokeWidth: 1.5,
          }),
          Plot.tip(list, Plot.pointer({ x: "predicted", y: "actual", maxRadius: 30, title: said })),
        ],
      });
      label(svg, list, "predicted", "actual", width, height, true);
      return svg;
    },
    // The race: what was measured along RL, and where each is expected to end.
    race(width) {
      const runs = data.race.runs.filter((run) => kept(all[run.at] ?? { base: null, name: run.name }));
      if (!runs.length) return null;
      const end = data.race.steps;
      const narrow = width < 620;
      const points = runs.flatMap((run) => run.curve.map(([step, y]) => ({ run, step, y })));
      // One colour a run, whatever is filtered: the page names them below.
      const named = data.race.runs.filter((run) => run.action !== "stop" && run.action !== "leave").slice(0, 5);
      const going = named.filter((run) => runs.includes(run));
      const paint = (run) => (going.includes(run) ? `var(--c${named.indexOf(run)})` : "var(--c5)");
      const text = (run) => (narrow ? `${run.name}` : `${short(run.name, 26)}: ${run.told}`);
      const ends = going
        .map((run) => ({ run, value: run.forecast ?? run.curve.at(-1)?.[1] }))
        .filter((e) => e.value !== undefined && e.value !== null);
      const right = narrow ? 16 : 14 + letter * (d3.max(ends, (e) => text(e.run).length) ?? 0);
      const lines = runs.filter((run) => run.curve.length);
      const svg = frame(width, narrow ? 300 : 400, {
        marginRight: right,
        x: { ...ruled([0, end]), label: "RL steps", ticks: 6 },
        y: {
          ...ruled(
            percents(
              [...points.map((p) => p.y), ...going.flatMap((run) => [run.low, run.high]).filter((v) => v !== null)],
              0.04,
            ),
          ),
          label: "Pass@1, %",
          labelAnchor: "top",
          ticks: 6,
        },
        marks: [
          ...grid,
          Plot.ruleX([end], { stroke: "var(--line)" }),
          Plot.link(
            lines.filter((run) => run.forecast !== null && run.state !== "finished" && run.action !== "stop"),
            {
              x1: (run) => run.curve.at(-1)[0],
              y1: (run) => run.curve.at(-1)[1],
              x2: end,
              y2: "forecast",
              stroke: paint,
              strokeDasharray: "2,4",
              strokeWidth: 1.5,
            },
          ),
          Plot.ruleX(
            going.filter((run) => run.state !== "finished" && run.low !== null),
            {
              x: end,
              y1: "low",
              y2: "high",
              stroke: paint,
              strokeWidth: 3,
              strokeOpacity: 0.4,
              dx: (run) => -4 * going.indexOf(run),
            },
          ),
          Plot.line(points, {
            x: "step",
            y: "y",
            z: (p) => p.run.name,
            stroke: (p) => paint(p.run),
            strokeWidth: (p) => (going.includes(p.run) ? 2.2 : 1.2),
            strokeOpacity: (p) => (going.includes(p.run) ? 1 : 0.6),
          }),
          Plot.dot(points, { x: "step", y: "y", r: 2.5, fill: (p) => paint(p.run) }),
          Plot.dot(
            lines.filter((run) => run.action === "stop"),
            {
              x: (run) => run.curve.at(-1)[0],
              y: (run) => run.curve.at(-1)[1],
              symbol: d3.symbolTimes,
              r: 5,
              stroke: "var(--soft)",
              strokeWidth: 1.8,
            },
          ),
          Plot.tip(
            points,
            Plot.pointer({
              x: "step",
              y: "y",
              maxRadius: 30,
              title: (p) => `${short(p.run.name, 44)}\nstep ${p.step}  ${show(p.y)} %\n${p.run.told}`,
            }),
          ),
        ],
      });
      const y = svg.scale("y"),
        x = svg.scale("x");
      const labels = ends.map((e) => ({ run: e.run, x: x.apply(end), y: y.apply(e.value) }));
      if (!narrow)
        write(
          svg,
          apart(labels).map((l) => ({ ...l, dx: 10, dy: 4, anchor: "start", text: text(l.run), fill: paint(l.run) })),
        );
      return svg;
    },
  };
  const label = (svg, list, x, y, width, height, bars = false) => {
    const at = (d) => ({ x: svg.scale("x").apply(d[x]), y: svg.scale("y").apply(d[y]) });
    const points = list.map(at);
    if (bars) {
      for (const d of list) {
        for (let value = svg.scale("x").apply(d.low); value < svg.scale("x").apply(d.high); value += 12)
          points.push({ x: value, y: at(d).y, cost: 1 });
      }
    }
    const most = width < 460 ? 0 : 36;
    const labels = named(list).map((d) => ({
      ...at(d),
      brief: `#${d.rank ?? "–"}`,
      text: most ? `#${d.rank ?? "–"} ${short(d.name, most)}` : `#${d.rank ?? "–"}`,
      fill: colour(d),
      weight: d.taken ? 700 : 500,
    }));
    write(svg, placed(labels, points, { x: 48, y: 20, w: width - 52, h: height - 62 }));
  };

  const draw = () => {
    for (const holder of document.querySelectorAll(".plot")) {
      const width = Math.floor(holder.clientWidth);
      if (!width) continue;
      const svg = figures[holder.dataset.figure](width);
      holder.replaceChildren(...(svg ? [svg] : []));
      if (!svg) holder.textContent = "Nothing to draw with these filters.";
    }
  };
  return draw;
};
