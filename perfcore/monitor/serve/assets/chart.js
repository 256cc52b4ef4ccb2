"use strict";
/* A chart of lines over time, as SVG: gaps stay gaps, each line has a dash of its own beside its colour, and
   what is drawn can be read point by point with the arrow keys, or as a table. */
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 560, HEIGHT = 190, LEFT = 58, RIGHT = 12, TOP = 10, BOTTOM = 24;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

/* Round steps for an axis from 0 to at least `top`; whole ones where the things can only be counted. */
function steps(top, { base, whole }) {
  const unit = base ** Math.floor(Math.log(top) / Math.log(base));
  const sizes = [0.1, 0.2, 0.25, 0.5, 1, 2, 2.5, 5].map((part) => part * unit);
  const step = sizes.find((each) => top / each <= 4.001 && (!whole || Number.isInteger(each))) || 1;
  const found = [];
  for (let at = 0; at < top + step * 0.999; at += step) found.push(at);
  return found;
}

/* Powers of ten around all that is positive, every second or third of them if there are many. */
function powers(values) {
  const known = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...known, 1e9))), high = Math.ceil(Math.log10(Math.max(...known, 1e-9)));
  if (low >= high) return known.length ? [10 ** low, 10 ** (low + 1)] : [1e-6, 1e-3, 1];
  const step = Math.ceil((high - low) / 5), found = [];
  for (let at = low; at < high + step; at += step) found.push(10 ** at);
  return found;
}

/* The runs of points between which nothing is missing: a value that is null, or a look that came too late. */
function runs(times, values, longest) {
  const found = [];
  let run = [], last = null;
  times.forEach((time, at) => {
    const value = values[at];
    if (run.length && (value === null || value === undefined || time - last > longest)) {
      found.push(run);
      run = [];
    }
    if (value !== null && value !== undefined) run.push([time, value]);
    last = time;
  });
  if (run.length) found.push(run);
  return found;
}

class Chart {
  constructor(id, title, format, { top = null, base = 10, whole = false, log = false, stairs = false } = {}) {
    Object.assign(this, { id, title, format, top, base, whole, log, stairs, at: null });
    this.svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0",
                              "aria-labelledby": `${id}-name ${id}-sum` });
    this.readout = element("output", { for: `${id}-plot` });
    this.legend = element("ul", { class: "legend" });
    this.scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` });
    this.details = element("details", {}, element("summary", {}, "As a table"), this.scroll);
    const caption = element("figcaption", {}, element("span", { id: `${id}-name` }, title), this.readout);
    this.svg.id = `${id}-plot`;
    this.summary = element("p", { class: "unseen", id: `${id}-sum` });
    this.figure = element("figure", { id, "data-chart": id }, caption, this.svg, this.summary, this.legend, this.details);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.move(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("blur", () => this.move(null));
    this.details.addEventListener("toggle", () => this.tabulate());
  }

  /* `lines` are {name, values}; times are in seconds, `longest` what may be between two looks. */
  draw(times, lines, from, to, longest) {
    Object.assign(this, { times, lines, from, to, longest });
    const values = lines.flatMap((line) => line.values).filter((value) => value !== null);
    this.ticks = this.log ? powers(values) : steps(this.top ?? (Math.max(0, ...values) || 1), this);
    this.svg.replaceChildren();
    this.axes();
    this.gaps();
    lines.forEach((line, number) => this.line(line, number));
    this.explain();
    this.tabulate();
    if (this.at !== null) this.move(times.indexOf(this.time));  // the moment stays, and what is said of it
  }

  x(time) { return LEFT + (WIDTH - LEFT - RIGHT) * (time - this.from) / (this.to - this.from || 1); }
  y(value) {
    const [low, high] = [this.ticks[0], this.ticks.at(-1)];
    const part = this.log ? Math.log(Math.max(value, low) / low) / Math.log(high / low) : value / high;
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part;
  }

  axes() {
    for (const tick of this.ticks) {
      const y = this.y(tick).toFixed(1);
      this.svg.append(shape("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }),
                      shape("text", { x: LEFT - 6, y: +y + 4, "text-anchor": "end" }, this.format(tick)));
    }
    const places = [["start", 0], ["middle", 0.5], ["end", 1]];
    for (const [anchor, part] of places) {
      const time = this.from + (this.to - this.from) * part;
      this.svg.append(shape("text", { x: this.x(time).toFixed(1), y: HEIGHT - 6, "text-anchor": anchor }, clock(time)));
    }
  }

  /* Where nothing was seen at all, the ground says so. */
  gaps() {
    for (let at = 1; at < this.times.length; at += 1) {
      const [before, after] = [this.times[at - 1], this.times[at]];
      if (after - before > this.longest) {
        const x = this.x(before), width = Math.max(1, this.x(after) - x);
        this.svg.append(shape("rect", { class: "gap", x: x.toFixed(1), y: TOP, width: width.toFixed(1), height: HEIGHT - TOP - BOTTOM }));
      }
    }
  }

  line({ values }, number) {
    const kind = `s${number % 6}`;
    for (const run of runs(this.times, values, this.longest)) {
      const places = this.stairs ? run.flatMap(([time, value], at) => (at ? [[time, run[at - 1][1]], [time, value]] : [[time, value]])) : run;
      const points = places.map(([time, value]) => `${this.x(time).toFixed(1)},${this.y(value).toFixed(1)}`);
      if (points.length > 1) this.svg.append(shape("polyline", { class: `line ${kind}`, points: points.join(" ") }));
      else {
        const [cx, cy] = points[0].split(",");
        this.svg.append(shape("circle", { class: kind, cx, cy, r: 2 }));
      }
    }
  }

  explain() {
    this.legend.replaceChildren(...this.lines.map(({ name, values }, number) => {
      const key = shape("svg", { viewBox: "0 0 28 6", width: 28, height: 6, "aria-hidden": "true" });
      key.append(shape("line", { class: `key s${number % 6}`, x1: 0, x2: 28, y1: 3, y2: 3, "stroke-width": 3 }));
      return element("li", {}, key, `${name}: ${this.said(values.at(-1))}`);
    }));
    const now = this.lines.map(({ name, values }) => `${name} ${this.said(values.at(-1))}`);
    this.summary.textContent = now.length ? `Now: ${now.join(", ")}.` : "Nothing was measured yet.";
  }

  said(value) { return value === null || value === undefined ? "not measured" : this.format(value); }

  tabulate() {
    if (!this.details.open || !this.times) return;
    const rows = this.times.map((time, at) => [clock(time), ...this.lines.map((line) => this.said(line.values[at]))]);
    const heads = ["Time", ...this.lines.map((line) => line.name)];
    this.scroll.replaceChildren(table(`${this.title}, latest first`, heads, rows.reverse().slice(0, 200)));
  }

  // -- one point --

  point(event) {
    if (!this.times?.length) return;
    const box = this.svg.getBoundingClientRect();
    const time = this.from + (this.to - this.from) * ((event.clientX - box.left) / box.width * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
    const far = this.times.map((each) => Math.abs(each - time));
    this.move(far.indexOf(Math.min(...far)));
  }

  key(event) {
    const last = (this.times?.length || 0) - 1;
    const to = { ArrowLeft: (this.at ?? last + 1) - 1, ArrowRight: (this.at ?? last) + 1, Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.move(to === null ? null : Math.min(last, Math.max(0, to)));
  }

  move(at) {
    this.at = at === null || at < 0 ? null : at;
    this.time = this.times?.[at];
    this.svg.querySelector(".cursor")?.remove();
    if (this.at === null) {
      this.readout.textContent = "";
      return;
    }
    const x = this.x(this.times[at]).toFixed(1);
    this.svg.append(shape("line", { class: "cursor", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
    const values = this.lines.map(({ name, values }) => `${name} ${this.said(values[at])}`);
    this.readout.textContent = `${clock(this.times[at])}  ${values.join(", ")}`;
  }
}
