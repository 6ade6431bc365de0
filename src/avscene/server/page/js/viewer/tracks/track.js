// Make one row of the timeline: its name beside a canvas that is as wide as the time axis.

import { element } from "../../dom.js";

// Return {row, draw}. `paint(context, width, height)` draws in CSS pixels on an empty canvas of `height` pixels.
export function canvasTrack(title, kind, paint) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const row = trackRow(title, kind, canvas);
  const context = canvas.getContext("2d");
  let height = 0; // by the style of the row; read when the width changes
  let seen = 0;
  const draw = (axis) => {
    const ratio = devicePixelRatio;
    if (axis.width * ratio !== seen) {
      seen = axis.width * ratio;
      height = canvas.parentElement.clientHeight;
      canvas.width = Math.round(axis.width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    if (!height) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, axis.width, height);
    paint(context, axis.width, height);
  };
  return { row, draw };
}

// Return a row with its name; `kind` is its class.
export function trackRow(title, kind, ...content) {
  return element(
    "div",
    { class: `v-track ${kind}` },
    element("div", { class: "v-track-name" }, title),
    element("div", { class: "v-track-plot" }, ...content),
  );
}
