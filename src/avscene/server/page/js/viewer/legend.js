// List the scenes with their colors and their numbers at one moment; each can be hidden in the chart.

import { element } from "../dom.js";
import { probability } from "../format.js";
import { isSure, rankedScenes, segmentAt } from "./data.js";
import { shownName, swatch } from "./swatch.js";

const MOST = 10; // scenes shown at first
const FEW_MORE = 2; // are shown as well

export class Legend {
  #hidden = new Set();
  #values = new Map(); // by scene
  #segment = -1;

  // `onChange(shown)` is called with the numbers of the scenes that the chart shows, `onFocus` with one or null.
  constructor(recording, { onChange, onFocus }) {
    Object.assign(this, { recording, onChange, onFocus });
    const ranked = rankedScenes(recording);
    this.top = ranked.length <= MOST + FEW_MORE ? ranked : ranked.slice(0, MOST);
    this.listed = this.top.toSorted((a, b) => a - b);
    this.list = element("ul", { class: "v-chips", "aria-label": "Scenes in the chart" });
    const sample = element("span", { class: "v-swatch others", "aria-hidden": "true" });
    this.others = element("li", { class: "v-others" }, sample, "other scenes", element("span", { class: "v-chip-value" }));
    this.more = element("button", { type: "button", class: "link", onclick: () => this.#toggleAll() });
    this.element = element("div", { class: "v-legend" }, this.list, ranked.length > this.top.length && this.more);
    this.#fill();
  }

  get shown() {
    return this.listed.filter((scene) => !this.#hidden.has(scene));
  }

  show(time) {
    const segment = segmentAt(this.recording, time);
    if (segment === this.#segment) return;
    this.#segment = segment;
    const { probabilities, labels } = this.recording;
    const of = (scene) => probabilities[segment * labels.length + scene];
    this.others.lastChild.textContent = probability(Math.max(0, 1 - this.shown.reduce((sum, scene) => sum + of(scene), 0)));
    for (const [scene, value] of this.#values) {
      value.textContent = probability(of(scene));
    }
  }

  #fill() {
    this.#values.clear();
    this.list.replaceChildren(...this.listed.map((scene) => element("li", {}, this.#chip(scene))), this.others, ...states(this.recording));
    this.#update();
    const { labels } = this.recording;
    const isAll = this.listed.length === labels.length;
    this.more.textContent = isAll ? `Show the top ${this.top.length} scenes only` : `Show all ${labels.length} scenes`;
  }

  #update() {
    this.others.hidden = this.shown.length === this.recording.labels.length;
    const segment = Math.max(0, this.#segment);
    this.#segment = -1;
    this.show(this.recording.starts[segment]);
  }

  #chip(scene) {
    const value = element("span", { class: "v-chip-value" });
    this.#values.set(scene, value);
    const focus = () => chip.matches(":hover, :focus-visible") && this.onFocus(this.#hidden.has(scene) ? null : scene);
    const blur = () => this.onFocus(null);
    const enter = (event) => event.pointerType !== "touch" && focus();
    const events = { onpointerenter: enter, onfocus: focus, onpointerleave: blur, onblur: blur };
    const isShown = String(!this.#hidden.has(scene));
    const name = element("span", { class: "v-chip-name" }, shownName(this.recording.labels[scene]));
    const chip = element("button", { type: "button", class: "v-chip", "aria-pressed": isShown, ...events }, swatch(scene), name, value);
    chip.addEventListener("click", () => {
      if (!this.#hidden.delete(scene)) this.#hidden.add(scene);
      chip.setAttribute("aria-pressed", String(!this.#hidden.has(scene)));
      focus();
      this.#update();
      this.onChange(this.shown);
    });
    return chip;
  }

  #toggleAll() {
    const all = [...this.recording.labels.keys()];
    this.listed = this.listed.length === all.length ? this.top.toSorted((a, b) => a - b) : all;
    this.#fill();
    this.onChange(this.shown);
  }
}

// Return what the rows show otherwise than with the color of a scene alone, if there is any.
function states({ starts, labels, accepted, probabilities, rows }) {
  const k = labels.length;
  const hasUnsure = [probabilities, ...rows.map((row) => row.probabilities)].some((values) =>
    starts.some((_, i) => !Number.isNaN(values[i * k]) && !isSure(values, i * k, k)),
  );
  const state = (kind, text) => element("li", { class: "v-state" }, element("span", { class: `v-swatch ${kind}`, "aria-hidden": "true" }), text);
  return [...(hasUnsure ? [state("unsure", "pale: unsure")] : []), ...(accepted.includes(0) ? [state("unknown", "hatched: unknown")] : [])];
}
