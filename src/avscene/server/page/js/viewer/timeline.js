// Show all that changes over time in rows on one axis, with the play head through them.

import { element } from "../dom.js";
import { shortTime } from "../format.js";
import { mismatchSpans, segmentAt } from "./data.js";
import { keysHelp } from "./keyboard.js";
import { Legend } from "./legend.js";
import { Readout } from "./readout.js";
import { TimeAxis } from "./tracks/axis.js";
import { Chart } from "./tracks/chart.js";
import { Palette } from "./tracks/colors.js";
import { listenToGestures } from "./tracks/gestures.js";
import { Overview } from "./tracks/overview.js";
import { rulerTrack } from "./tracks/ruler.js";
import { markTrack, stripTrack } from "./tracks/strips.js";
import { trackRow } from "./tracks/track.js";
import { shownName } from "./swatch.js";

const ZOOM = 0.5; // of one press of a button
const REST = 120; // milliseconds after the last movement

let lastMode = "lines"; // of the chart; the next recording is shown like the last one

export class Timeline {
  #frame = 0;
  #hovered = null; // time under the pointer
  #wasInView = true;
  #isMoving = false;
  #isClosed = false;
  #isDragging = false;
  #rest = 0;

  constructor(recording, player) {
    const { starts, ends, duration } = recording;
    Object.assign(this, { recording, player });
    this.axis = new TimeAxis(duration, (ends[0] - starts[0]) || duration);
    this.palette = null; // read when the page is laid out
    const palette = () => this.palette;
    this.readout = new Readout(recording);
    this.chart = new Chart(recording, mismatchSpans(recording), this.axis, palette);
    this.legend = new Legend(recording, { onChange: (shown) => this.#reconfigure(shown), onFocus: (scene) => this.chart.focus(scene) });
    this.chart.configure(lastMode, this.legend.shown);
    this.overview = new Overview(recording, this.axis, palette);
    this.pending = element("div", { class: "v-pending" });
    this.tracks = [rulerTrack(this.axis, palette), this.chart, ...this.#strips(palette)];
    this.element = this.#layout();
    this.#listen();
  }

  // Draw for the first time, when the element is in the page.
  async start() {
    this.#resize();
    await this.chart.load();
    if (!this.#isClosed) this.redraw();
  }

  // Add rows of the preview between the times and the chart.
  addTrack(track) {
    this.pending.before(track.row);
    this.tracks.push(track);
    this.redraw();
  }

  // Show a text in place of the rows of the preview; null when it has arrived or there is none.
  showPending(text) {
    this.pending.replaceChildren(...(text ? [trackRow("", "pending-row", text)] : []));
  }

  redraw(isMoving = false) {
    this.#isMoving = isMoving;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.draw(this.#isMoving);
    });
  }

  #move() {
    clearTimeout(this.#rest);
    this.redraw(true);
    this.#rest = setTimeout(() => this.redraw(), REST);
  }

  // Draw at once; coarser while the part that is shown changes.
  draw(isMoving = false) {
    if (this.axis.width <= 1) return;
    for (const track of this.tracks) track.draw(this.axis, isMoving);
    this.overview.draw();
    this.#placeLines();
  }

  // Follow the player.
  update(isPlaying) {
    const { time } = this.player;
    if (isPlaying ? this.#wasInView : !this.#isDragging) this.axis.reveal(time);
    this.#wasInView = time >= this.axis.from && time <= this.axis.to;
    this.#placeLines();
    if (isPlaying) return;
    this.slider.setAttribute("aria-valuenow", time.toFixed(2));
    this.slider.setAttribute("aria-valuetext", this.#positionText(time));
  }

  close() {
    this.#isClosed = true;
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#rest);
    this.observer.disconnect();
    this.theme.disconnect();
    this.endGestures();
    this.chart.close();
    this.readout.close();
  }

  #strips(palette) {
    const { recording, axis } = this;
    const { starts, ends, unfamiliar, accepted, probabilities, rows } = recording;
    const strips = rows.map((row) => stripTrack(row.title, recording, row.probabilities, { axis, palette }));
    strips.push(stripTrack(rows.length ? "Fused" : "Scene", recording, probabilities, { axis, palette, accepted }));
    const mismatches = mismatchSpans(recording);
    if (mismatches.length) strips.push(markTrack("Mismatch", mismatches, { axis, palette }));
    const strange = [...starts.keys()].filter((i) => unfamiliar[i]).map((i) => ({ start: starts[i], end: ends[i] }));
    if (strange.length) strips.push(markTrack("Unfamiliar", strange, { axis, palette }));
    return strips;
  }

  #layout() {
    const { duration } = this.recording;
    const attributes = { role: "slider", tabindex: "0", "aria-label": "Play head", "aria-valuemin": "0", "aria-valuemax": duration.toFixed(2), "aria-valuenow": "0.00" };
    this.head = element("div", { class: "v-play-head", "aria-hidden": "true" }, element("span"));
    this.line = element("div", { class: "v-hover-line", "aria-hidden": "true", hidden: true });
    this.slider = element("div", { class: "v-track-surface", ...attributes, "aria-valuetext": this.#positionText(0) }, this.line, this.head);
    const [ruler, chart, ...strips] = this.tracks.map((track) => track.row);
    const rows = element("div", { class: "v-tracks" }, ruler, this.pending, chart, ...strips, this.slider);
    return element("section", { class: "card v-timeline", "aria-label": "Timeline" }, this.#tools(), this.readout.element, rows, this.overview.element, this.legend.element, keysHelp());
  }

  #tools() {
    const mode = (value, text) => {
      const input = element("input", { type: "radio", name: "chart-mode", value, checked: value === lastMode, onchange: () => this.#reconfigure(this.legend.shown, value) });
      return element("label", {}, input, element("span", {}, text));
    };
    const button = (text, label, onclick) => element("button", { type: "button", class: "small", "aria-label": label, title: label, onclick }, text);
    const center = () => (this.player.time >= this.axis.from && this.player.time <= this.axis.to ? this.player.time : undefined);
    return element(
      "div",
      { class: "v-timeline-tools" },
      element("h2", {}, "Timeline"),
      element("fieldset", { class: "v-modes" }, element("legend", { class: "hidden" }, "Chart of probabilities"), mode("lines", "Lines"), mode("areas", "Areas")),
      element("div", { class: "v-zoom", role: "group", "aria-label": "Zoom" },
        button("−", "Zoom out", () => this.axis.zoom(1 / ZOOM, center())),
        button("+", "Zoom in", () => this.axis.zoom(ZOOM, center())),
        button("Whole", "Whole recording", () => this.axis.reset())),
    );
  }

  #reconfigure(shown, mode = this.chart.mode) {
    lastMode = mode;
    this.chart.configure(mode, shown);
    this.redraw();
  }

  #listen() {
    this.axis.onChange(() => this.#move());
    this.endGestures = listenToGestures(this.slider, this.axis, {
      seek: (time) => this.#seek(time),
      hover: (time) => {
        this.#hovered = time;
        this.#placeLines();
      },
    });
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(this.slider);
    this.theme = new MutationObserver(() => this.#repaint());
    this.theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  #seek(time) {
    this.#isDragging = true;
    this.#hovered = null;
    this.player.seek(time);
    this.#isDragging = false;
  }

  #resize() {
    const width = Math.floor(this.slider.clientWidth);
    if (width < 2) return;
    this.axis.width = width;
    this.#repaint();
  }

  #repaint() {
    this.palette = new Palette(this.element);
    this.overview.repaint();
    this.draw();
  }

  #placeLines() {
    const { axis, player } = this;
    const { time } = player;
    place(this.head, axis, time);
    this.head.firstChild.textContent = shortTime(time, { tenths: this.recording.tenths || axis.length < 60 });
    this.head.classList.toggle("at-end", axis.x(time) > axis.width - 48);
    this.line.hidden = this.#hovered === null;
    if (this.#hovered !== null) place(this.line, axis, this.#hovered);
    const moment = this.#hovered ?? time;
    this.readout.show(moment, this.#hovered !== null);
    this.legend.show(moment);
  }

  #positionText(time) {
    const { labels, tops, accepted, duration } = this.recording;
    const segment = segmentAt(this.recording, time);
    const scene = accepted[segment] ? shownName(labels[tops[segment]]) : "unknown";
    return `${shortTime(time, { tenths: this.recording.tenths })} of ${shortTime(duration)}, ${scene}`;
  }
}

function place(line, axis, time) {
  line.style.transform = `translateX(${axis.x(time)}px)`;
  line.classList.toggle("outside", time < axis.from || time > axis.to);
}
