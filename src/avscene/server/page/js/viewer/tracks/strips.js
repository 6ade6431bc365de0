// Draw rows of the most probable scene over time, and rows that mark spans.

import { TimeMeans, markRuns, sceneRuns } from "../columns.js";
import { shownName } from "../swatch.js";
import { canvasTrack } from "./track.js";

const PADDING = 6; // pixels beside a name
const LEAST_NAMED = 24; // pixels; narrower spans have no name

// Return a row of scenes from `probabilities`; spans without an accepted scene are hatched if `accepted` is given.
export function stripTrack(title, recording, probabilities, { axis, palette, accepted = null }) {
  const { starts, ends, labels } = recording;
  const k = labels.length;
  const names = labels.map(shownName);
  const means = new TimeMeans(starts, ends, probabilities, k);
  const unknown = accepted && new TimeMeans(starts, ends, Float64Array.from(accepted, (value) => 1 - value), 1);
  return canvasTrack(title, "strip", (context, width, height) => {
    const count = Math.round(width);
    const shares = unknown && unknown.drawn(axis.from, axis.to, count);
    context.font = `600 ${palette().font}`;
    context.textBaseline = "middle";
    for (const run of sceneRuns(means.drawn(axis.from, axis.to, count), k, shares)) {
      paintRun(context, run, height, palette(), run.scene < 0 ? "unknown" : names[run.scene]);
    }
  });
}

function paintRun(context, { from, to, scene, state }, height, palette, name) {
  const gap = to - from > 4 ? 1 : 0; // between two spans
  const isKnown = state !== "unknown";
  context.fillStyle = isKnown ? palette.fill(context, scene, state === "sure") : palette.hatch(context);
  context.fillRect(from, 0, to - from - gap, height);
  if (state === "unsure") {
    context.fillStyle = palette.scene(scene);
    context.fillRect(from, height - 3, to - from - gap, 3);
  }
  if (to - from < LEAST_NAMED) return;
  const text = state === "unsure" ? `${name}?` : name;
  const width = palette.width(context, text);
  if (to - from < width + 2 * PADDING) return;
  const ground = isKnown ? palette.area(scene, state === "sure") : { fill: palette.surface, text: palette.ink };
  if (!isKnown || scene >= palette.scenes.length) {
    context.fillStyle = ground.fill;
    context.fillRect(from + 2, 3, width + 2 * PADDING - 4, height - 6);
  }
  context.fillStyle = ground.text;
  context.fillText(text, from + PADDING, height / 2 + 0.5);
}

// Return a row that marks spans [{start, end}] with the color of warnings.
export function markTrack(title, spans, { axis, palette }) {
  return canvasTrack(title, "marks", (context, width, height) => {
    context.fillStyle = palette().warning;
    for (const { from, to } of markRuns(spans, axis.from, axis.to, Math.round(width))) {
      context.fillRect(from, 1, to - from, height - 2);
    }
  });
}
