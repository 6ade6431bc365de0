// Draw the waveform from peaks that the server computed.

import { peakColumns } from "../columns.js";
import { canvasTrack } from "./track.js";

const LOUD = 0.15; // quieter recordings are drawn as if their largest peak was this

export function waveformTrack(axis, palette, { peaks, duration }) {
  const largest = peaks.reduce((most, [low, high]) => Math.max(most, -low, high), LOUD);
  return canvasTrack("Waveform", "waveform", (context, width, height) => {
    const middle = height / 2;
    const scale = (middle - 1) / largest;
    context.fillStyle = palette().accent;
    peakColumns(peaks, duration, axis.from, axis.to, Math.round(width)).forEach((peak, x) => {
      if (peak === null) return;
      const top = middle - peak[1] * scale;
      context.fillRect(x, Math.min(top, middle - 0.5), 1, Math.max(1, (peak[1] - peak[0]) * scale));
    });
  });
}
