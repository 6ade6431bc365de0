// Show the whole recording below the tracks, with a window on the part that they show.

import { element } from "../../dom.js";
import { stripTrack } from "./strips.js";

export class Overview {
  #isStale = true;

  constructor(recording, axis, palette) {
    this.axis = axis;
    this.whole = { from: 0, to: axis.duration, length: axis.duration, width: 1 };
    this.track = stripTrack("Overview", recording, recording.probabilities, { axis: this.whole, palette, accepted: recording.accepted });
    this.window = element("div", { class: "v-overview-window" });
    this.element = this.track.row;
    this.element.classList.add("v-overview");
    this.element.lastChild.append(this.window);
    this.element.lastChild.addEventListener("pointerdown", (event) => this.#drag(event));
  }

  // Draw the recording again at the next drawing: its size or the colors changed.
  repaint() {
    this.#isStale = true;
  }

  draw() {
    const { axis, whole } = this;
    this.element.classList.toggle("idle", axis.isWhole);
    this.window.style.insetInlineStart = `${(axis.from / axis.duration) * 100}%`;
    this.window.style.inlineSize = `${(axis.length / axis.duration) * 100}%`;
    if (!this.#isStale) return;
    whole.width = axis.width;
    this.track.draw(whole);
    this.#isStale = false;
  }

  // Center the window where the pointer is, until it is released.
  #drag(event) {
    const plot = this.element.lastChild;
    const center = ({ clientX }) => {
      const box = plot.getBoundingClientRect();
      const time = ((clientX - box.left) / box.width) * this.axis.duration;
      const { length } = this.axis;
      this.axis.show(time - length / 2, time + length / 2);
    };
    plot.setPointerCapture(event.pointerId);
    center(event);
    plot.onpointermove = center;
    plot.onpointerup = plot.onpointercancel = () => (plot.onpointermove = null);
  }
}
