// Draw the times along the axis.

import { shortTime } from "../../format.js";
import { canvasTrack } from "./track.js";

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000];
const DISTANCE = 72; // pixels between two times, at least

export function rulerTrack(axis, palette) {
  return canvasTrack("", "ruler", (context, width, height) => {
    const step = tickStep(axis.length, width);
    context.font = palette().font;
    context.textBaseline = "middle";
    context.textAlign = "center";
    for (const time of ticks(axis.from, axis.to, step)) {
      const x = axis.x(time);
      context.fillStyle = palette().line;
      context.fillRect(Math.round(x), height - 5, 1, 5);
      const text = shortTime(time, { tenths: step < 1 });
      const half = context.measureText(text).width / 2;
      context.fillStyle = palette().muted;
      context.fillText(text, Math.min(width - half, Math.max(half, x)), height / 2 - 2);
    }
  });
}

export function tickStep(length, width) {
  return STEPS.find((step) => (step / length) * width >= DISTANCE) ?? STEPS.at(-1);
}

// Return the multiples of `step` between two times.
export function ticks(from, to, step) {
  const first = Math.ceil(from / step - 1e-9);
  const count = Math.floor(to / step + 1e-9) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => (first + i) * step);
}
