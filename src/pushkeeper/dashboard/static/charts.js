// Charts: drawn by uPlot from what the page says in data attributes, in the colours of the sheet.
(() => {
  "use strict";
  const ink = (name) => {
    const probe = document.createElement("i");
    probe.className = `ink-${name}`;
    probe.hidden = true;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
  const thin = (colour, share) => colour.replace(/^rgb\(([^)]*)\)$/, `rgba($1, ${share})`);
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const whole = new Intl.NumberFormat("en");
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const month = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" });
  const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  // What is counted by the day is counted by that of UTC: elsewhere it would be told of the day before.
  const utc = { timeZone: "UTC" };
  const utcDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", ...utc });
  const utcMonth = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric", ...utc });
  const utcWholeDay = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", year: "numeric", ...utc });
  const dayAndHour = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

  // What stands below the ticks: hours, days or months, as far apart as they are.
  const told = (_, ticks, __, ___, apart) =>
    ticks.map((tick) => {
      const at = new Date(tick * 1000);
      if (apart >= 27 * 86400) return month.format(at);
      if (apart >= 86400 || at.getHours() + at.getMinutes() === 0) return day.format(at);
      return hour.format(at);
    });

  const toldDays = (_, ticks, __, ___, apart) => ticks.map((tick) => (apart >= 27 * 86400 ? utcMonth : utcDay).format(new Date(tick * 1000)));

  // Each series on the shoulders of those before it: what is read off it is its own value still.
  const stacked = (series) => {
    const below = series[0].values.map(() => 0);
    return series.map((one) => one.values.map((value, i) => (below[i] += value)));
  };

  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 240]; // bars from one tick to the next

  const axis = (more) => ({
    stroke: ink("axis"),
    grid: { stroke: ink("grid"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
    ...more,
  });

  const draw = (box) => {
    const at = JSON.parse(box.dataset.at);
    const series = JSON.parse(box.dataset.series);
    const kind = box.dataset.chart;
    const stacks = kind.startsWith("stack");
    const isBars = kind.endsWith("bars");
    const isByDay = "days" in box.dataset;
    const values = stacks ? stacked(series) : series.map((one) => one.values);
    const bars = isBars ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined;
    const order = stacks ? [...series.keys()].reverse() : [...series.keys()];
    const lines = order.map((i) => {
      const colour = ink(series[i].ink);
      return {
        label: series[i].name,
        stroke: colour,
        width: isBars ? 0 : 1.5,
        fill: kind === "lines" ? undefined : stacks ? colour : thin(colour, 0.85),
        paths: bars,
        points: { show: false },
        value: (_, __, ___, n) => (n == null ? "" : whole.format(series[i].values[n])),
      };
    });
    const apart = at.length > 1 ? at[1] - at[0] : Number(box.dataset.apart || 3600);
    const top = Math.max(1, ...values.flat());
    box.replaceChildren();
    new uPlot(
      {
        width: box.clientWidth,
        height: Math.max(110, box.classList.contains("short") ? 130 : 250),
        cursor: { y: false, points: { size: 6 }, sync: { key: stacks ? "status" : "hours" } },
        scales: { x: { time: true, range: isBars ? () => [at[0] - apart / 2, at[at.length - 1] + apart / 2] : undefined }, y: { range: [0, top * 1.06] } },
        legend: { live: true },
        ...(isByDay && { tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC") }),
        axes: [axis({ space: 70, size: 28, values: isByDay ? toldDays : told, ...(isBars && { incrs: steps.map((step) => step * apart) }) }), axis({ size: 52, space: 32, values: (_, ticks) => ticks.map((tick) => (tick % 1 ? "" : short.format(tick))) })],
        series: [{ label: "at", value: (_, x) => (x == null ? "" : (isByDay ? utcWholeDay : dayAndHour).format(x * 1000)) }, ...lines],
      },
      [at, ...order.map((i) => values[i])],
      box,
    );
  };

  const drawAll = () => {
    for (const box of document.querySelectorAll("[data-chart]")) draw(box);
  };
  let width = 0;
  let waits;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 2) return;
    width = entry.contentRect.width;
    clearTimeout(waits);
    waits = setTimeout(drawAll, 60);
  }).observe(document.getElementById("main"));
  for (const moment of ["pushkeeper:theme", "pushkeeper:shown", "htmx:after:settle"]) document.addEventListener(moment, drawAll);
})();
