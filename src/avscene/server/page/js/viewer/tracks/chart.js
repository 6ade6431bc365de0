// Draw the probability of each scene over time with uPlot, as lines or as stacked areas.

import { element } from "../../dom.js";
import { TimeMeans, markRuns } from "../columns.js";
import { COLORS, PATTERNS } from "../swatch.js";
import { DASHES } from "./colors.js";
import { stepAreas, stepLines } from "./steps.js";
import { trackRow } from "./track.js";

const MARGIN = 0.015; // of probability above 1 and below 0, so that lines are whole
const FADED = 0.2; // opacity of other lines while one is looked at
const [MOST, MOVING] = [1600, 400]; // columns, at rest and while the part shown changes
const RULES = [0, 0.25, 0.5, 0.75, 1];

export class Chart {
  #plot = null;
  #make = null; // uPlot, loaded after the first drawing

  // `marks` are spans of a mismatch.
  constructor(recording, marks, axis, palette) {
    const { starts, ends, probabilities, accepted, labels } = recording;
    Object.assign(this, { axis, palette, marks, mode: "lines", shown: [], focused: null });
    this.k = labels.length;
    this.means = new TimeMeans(starts, ends, probabilities, this.k);
    this.unknown = new TimeMeans(starts, ends, Float64Array.from(accepted, (value) => 1 - value), 1);
    this.hasUnknown = accepted.includes(0);
    this.row = trackRow("Probability", "chart");
    this.row.firstChild.append(element("span", { class: "range" }, ", 0 to 1"));
    this.host = this.row.lastChild;
    this.note = element("span", { class: "means" });
    const tick = ([value, place]) => element("span", { class: `tick ${place}`, "aria-hidden": "true" }, value);
    this.row.firstChild.append(this.note, ...[["1", "top"], ["0.5", "middle"], ["0", "bottom"]].map(tick));
    this.segment = ends[0] - starts[0];
  }

  async load() {
    try {
      this.#make = (await import("../../../vendor/uPlot.esm.js")).default;
    } catch {
      this.host.replaceChildren(element("p", { class: "muted" }, "The chart could not be loaded."));
    }
  }

  // Show the scenes of these numbers as "lines" or "areas".
  configure(mode, shown) {
    Object.assign(this, { mode, shown });
    this.#plot?.destroy();
    this.#plot = null;
  }

  // Let the line of one scene stand out; null for none.
  focus(scene) {
    this.focused = scene;
    this.#plot?.redraw(false);
  }

  draw(_, isMoving) {
    if (!this.#make) return;
    const { width } = this.axis;
    const height = this.host.clientHeight;
    const perPixel = this.axis.length / width;
    this.note.textContent = perPixel > this.segment ? `means of ${perPixel < 10 ? perPixel.toFixed(1) : Math.round(perPixel)}\u00a0s` : "";
    const data = this.#data(Math.max(2, Math.min(Math.round(width), isMoving ? MOVING : MOST)));
    if (!this.#plot) this.#plot = new this.#make(this.#options(width, height), data, this.host);
    else this.#plot.setData(data);
    if (this.#plot.width !== width || this.#plot.height !== height) this.#plot.setSize({ width, height });
  }

  close() {
    this.#plot?.destroy();
  }

  // Return the times of the columns and a list for each series; areas are sums, the largest first.
  #data(count) {
    const { axis, k, shown } = this;
    const means = this.means.drawn(axis.from, axis.to, count);
    const times = Float64Array.from({ length: count }, (_, x) => axis.from + (x / count) * axis.length);
    const lines = shown.map((scene) => Array.from({ length: count }, (_, x) => number(means[x * k + scene])));
    if (this.mode === "lines") return [times, ...lines];
    for (let i = 1; i < lines.length; i++) {
      lines[i] = lines[i].map((value, x) => (value === null ? null : value + lines[i - 1][x]));
    }
    const whole = Array.from({ length: count }, (_, x) => (Number.isNaN(means[x * k]) ? null : 1));
    return [times, ...(this.#hasOthers ? [whole] : []), ...lines.reverse()];
  }

  // Whether areas of scenes are left out, for which one of all of them stands.
  get #hasOthers() {
    return this.mode === "areas" && this.shown.length < this.k;
  }

  #options(width, height) {
    const { axis } = this;
    const order = this.mode === "lines" ? this.shown : [...this.shown].reverse();
    const others = { points: { show: false }, width: 0, fill: () => this.palette().line, paths: stepAreas };
    return {
      ...{ width, height, padding: [0, 0, 0, 0], pxAlign: 0 },
      cursor: { show: false },
      legend: { show: false },
      scales: {
        x: { time: false, range: () => [axis.from, axis.to] },
        y: { range: () => [-MARGIN, 1 + MARGIN] },
      },
      axes: [{ show: false }, { show: false }],
      series: [{}, ...(this.#hasOthers ? [others] : []), ...order.map((scene) => this.#series(scene))],
      hooks: { drawClear: [(plot) => this.#paintBelow(plot)], draw: [(plot) => this.#paintAbove(plot)] },
    };
  }

  #series(scene) {
    const common = { points: { show: false }, spanGaps: false, width: 0 };
    const faded = () => this.palette().area(scene, false).fill;
    if (this.mode === "areas") {
      const fill = (plot) => (this.#isFaded(scene) ? faded() : this.palette().fill(plot.ctx, scene));
      return { ...common, fill, paths: stepAreas };
    }
    const fill = () => (this.#isFaded(scene) ? faded() : this.palette().scene(scene));
    return { ...common, fill, paths: stepLines(DASHES[Math.floor(scene / COLORS) % PATTERNS]) };
  }

  #isFaded(scene) {
    return this.focused !== null && this.focused !== scene;
  }

  #paintBelow({ ctx, bbox, valToPos }) {
    ctx.fillStyle = this.palette().line;
    for (const value of RULES) {
      ctx.fillRect(bbox.left, Math.round(valToPos(value, "y", true)), bbox.width, 1);
    }
  }

  // Hatch what has no accepted scene, and frame what is a mismatch.
  #paintAbove({ ctx, bbox }) {
    const count = Math.round(this.axis.width);
    const scale = bbox.width / count;
    if (this.hasUnknown) {
      ctx.fillStyle = this.palette().hatch(ctx, this.palette().muted);
      this.unknown.drawn(this.axis.from, this.axis.to, count).forEach((share, x) => {
        if (share > 0.5) ctx.fillRect(bbox.left + x * scale, bbox.top, scale, bbox.height);
      });
    }
    ctx.fillStyle = this.palette().warning;
    for (const { from, to } of markRuns(this.marks, this.axis.from, this.axis.to, count)) {
      const [left, width] = [bbox.left + from * scale, (to - from) * scale];
      ctx.globalAlpha = 0.12;
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(left, bbox.top, width, 2 * devicePixelRatio);
    }
  }
}

const number = (value) => (Number.isNaN(value) ? null : value);
