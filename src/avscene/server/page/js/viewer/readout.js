// Show the numbers of one moment: under the pointer, or at the play head.

import { announce, element } from "../dom.js";
import { probability, shortTime } from "../format.js";
import { indexOfLargest, segmentAt } from "./data.js";
import { shownName } from "./swatch.js";

const PAUSE = 400; // milliseconds after the last step before numbers are read out
const MOST_READ = 3; // scenes

export class Readout {
  #timer = 0;
  #shown = -2; // segment

  constructor(recording) {
    this.recording = recording;
    this.rows = [{ title: "Fused", probabilities: recording.probabilities }, ...recording.rows];
    if (this.rows.length === 1) this.rows[0].title = "Scene";
    this.what = element("dt");
    this.time = element("dd");
    this.values = this.rows.map(() => element("dd"));
    this.mismatch = element("dd", { class: "small-value" });
    this.unfamiliar = element("dd", { class: "small-value" });
    const item = (title, value) => element("div", {}, element("dt", {}, title), value);
    this.element = element(
      "dl",
      { class: "v-readout" },
      element("div", { class: "v-moment" }, this.what, this.time),
      this.rows.map((row, i) => item(row.title, this.values[i])),
      recording.mismatchScores.some((score) => !Number.isNaN(score)) && item("Mismatch", this.mismatch),
      recording.unfamiliar.includes(1) && item("Unfamiliar", this.unfamiliar),
    );
    const longest = Math.max(...recording.labels.map((label) => shownName(label).length));
    this.element.style.setProperty("--value", `${Math.min(24, longest + 6)}ch`);
  }

  // Show the numbers at `time`, which is that of the pointer or of the play head.
  show(time, isPointer) {
    this.time.textContent = shortTime(time, { tenths: true });
    this.what.textContent = isPointer ? "Pointer" : "Play head";
    const segment = segmentAt(this.recording, time);
    if (segment === this.#shown) return;
    this.#shown = segment;
    const { mismatchScores, mismatched, unfamiliar } = this.recording;
    this.rows.forEach((row, i) => (this.values[i].textContent = topScenes(this.recording, row, segment, 1)));
    const mark = mismatched[segment] ? ", marked" : "";
    this.mismatch.textContent = (Number.isNaN(mismatchScores[segment]) ? "–" : probability(mismatchScores[segment])) + mark;
    this.mismatch.classList.toggle("warning", mismatched[segment] === 1);
    this.unfamiliar.textContent = unfamiliar[segment] ? "yes" : "no";
    this.unfamiliar.classList.toggle("warning", unfamiliar[segment] === 1);
  }

  // Have screen readers read the numbers at `time`, once no further step follows.
  readOut(time) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => announce(this.#text(segmentAt(this.recording, time))), PAUSE);
  }

  close() {
    clearTimeout(this.#timer);
  }

  #text(segment) {
    const { starts, ends, tenths } = this.recording;
    const [start, end] = [starts[segment], ends[segment]].map((time) => shortTime(time, { tenths }));
    const parts = this.rows.map((row, i) => {
      const scenes = topScenes(this.recording, row, segment, i ? 1 : MOST_READ);
      return i ? `${row.title.toLowerCase()} ${scenes}` : scenes;
    });
    return [`${start} to ${end}: ${parts[0]}`, ...parts.slice(1), ...remarks(this.recording, segment)].join("; ");
  }
}

function topScenes({ labels, accepted, rows }, row, segment, count) {
  const k = labels.length;
  const values = row.probabilities.subarray(segment * k, (segment + 1) * k);
  if (Number.isNaN(values[0])) return "not scored";
  const order = count === 1 ? [indexOfLargest(values)] : [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, count);
  const text = order.map((s) => `${shownName(labels[s])} ${probability(values[s])}`).join(", ");
  return !accepted[segment] && !rows.includes(row) ? `unknown (${text})` : text;
}

function remarks({ mismatchScores, mismatched, unfamiliar }, segment) {
  const score = mismatchScores[segment];
  return [
    ...(Number.isNaN(score) ? [] : [`${mismatched[segment] ? "in a mismatch, " : ""}probability of a mismatch ${probability(score)}`]),
    ...(unfamiliar[segment] ? ["unfamiliar"] : []),
  ];
}
