// Reduce segments to columns of pixels: exact means over time, at a cost that does not grow with their number.

import { indexOfLargest, isSure } from "./data.js";

const TOLERANCE = 1e-6; // seconds

// Prepare values (n rows of k numbers, NaN where not scored) of spans [start, end) for means over any times. Of spans
// that overlap, the later one counts.
export class TimeMeans {
  constructor(starts, ends, values, k) {
    const n = starts.length;
    Object.assign(this, { starts, values, k, n });
    this.ends = Float64Array.from(ends, (end, i) => (i + 1 < n ? Math.min(end, starts[i + 1]) : end));
    this.length = ends[0] - starts[0]; // of a segment
    this.sums = new Float64Array((n + 1) * k);
    this.seconds = new Float64Array(n + 1); // scored
    for (let i = 0; i < n; i++) {
      const isScored = !Number.isNaN(values[i * k]);
      const length = isScored ? Math.max(0, this.ends[i] - starts[i]) : 0;
      this.seconds[i + 1] = this.seconds[i] + length;
      for (let s = 0; s < k; s++) {
        this.sums[(i + 1) * k + s] = this.sums[i * k + s] + (length && length * values[i * k + s]);
      }
    }
  }

  // Return what to draw in `count` columns: their means, or, where they are short beside segments, the values at their
  // middles, so that steps are steep.
  drawn(from, to, count) {
    const isFine = 2 * (to - from) < count * this.length;
    return isFine ? this.samples(from, to, count) : this.columns(from, to, count);
  }

  // Return the values (count rows of k) at the middles of `count` equal columns; NaN where nothing is scored.
  samples(from, to, count) {
    const { k, starts, values } = this;
    const found = new Float32Array(count * k).fill(NaN);
    const first = from + (to - from) / count / 2;
    let at = this.#search(first);
    for (let column = 0; column < count; column++) {
      const time = first + ((to - from) * column) / count;
      while (at < this.n && this.ends[at] <= time) at++;
      if (at === this.n || starts[at] > time) continue;
      for (let s = 0; s < k; s++) found[column * k + s] = values[at * k + s];
    }
    return found;
  }

  // Return the means (count rows of k) of `count` equal columns of the time from `from` to `to`; NaN where nothing is scored.
  columns(from, to, count) {
    const { k } = this;
    const means = new Float32Array(count * k).fill(NaN);
    let [before, after] = [new Float64Array(k + 1), new Float64Array(k + 1)];
    let at = this.#integrate(from, this.#search(from), before);
    for (let column = 0; column < count; column++) {
      at = this.#integrate(from + ((to - from) * (column + 1)) / count, at, after);
      const seconds = after[k] - before[k];
      if (seconds > TOLERANCE * TOLERANCE) {
        for (let s = 0; s < k; s++) means[column * k + s] = (after[s] - before[s]) / seconds;
      }
      [before, after] = [after, before];
    }
    return means;
  }

  #search(time) {
    let [low, high] = [0, this.n];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Write the integrals from 0 to `time` into `out` (k values, then seconds); spans before `at` end before it.
  #integrate(time, at, out) {
    const { k, starts, ends, sums, values, seconds } = this;
    while (at < this.n && ends[at] <= time) at++;
    for (let s = 0; s < k; s++) out[s] = sums[at * k + s];
    out[k] = seconds[at];
    if (at < this.n && starts[at] < time && !Number.isNaN(values[at * k])) {
      const part = time - starts[at];
      for (let s = 0; s < k; s++) out[s] += part * values[at * k + s];
      out[k] += part;
    }
    return at;
  }
}

// Join columns of the same scene and state to runs {from, to, scene, state}, in columns. `means` has k numbers for each;
// `unknown` is the share of each column without an accepted scene. State is "sure", "unsure" or "unknown".
export function sceneRuns(means, k, unknown = null) {
  const runs = [];
  let run = null;
  for (let column = 0; column < means.length / k; column++) {
    const first = column * k;
    if (Number.isNaN(means[first])) {
      run = null;
      continue;
    }
    const isUnknown = unknown !== null && unknown[column] > 0.5;
    const scene = isUnknown ? -1 : indexOfLargest(means, first, k);
    const state = isUnknown ? "unknown" : isSure(means, first, k) ? "sure" : "unsure";
    if (!run || run.scene !== scene || run.state !== state) {
      run = { from: column, to: column, scene, state };
      runs.push(run);
    }
    run.to = column + 1;
  }
  return runs;
}

// Return the columns that spans [{start, end}] touch, as runs {from, to} of at least one column.
export function markRuns(spans, from, to, count) {
  const scale = count / (to - from);
  return spans
    .filter((span) => span.end > from && span.start < to)
    .map((span) => {
      const first = Math.max(0, Math.floor((span.start - from) * scale));
      return { from: first, to: Math.min(count, Math.max(first + 1, Math.ceil((span.end - from) * scale))) };
    });
}

// Return the lowest and highest peak of each of `count` columns as [low, high], or null beyond the peaks.
export function peakColumns(peaks, duration, from, to, count) {
  const perSecond = peaks.length / duration;
  return Array.from({ length: count }, (_, column) => {
    const first = Math.floor((from + ((to - from) * column) / count) * perSecond);
    const end = Math.max(first + 1, Math.ceil((from + ((to - from) * (column + 1)) / count) * perSecond));
    if (first < 0 || first >= peaks.length) return null;
    let [low, high] = peaks[first];
    for (let i = first + 1; i < Math.min(end, peaks.length); i++) {
      low = Math.min(low, peaks[i][0]);
      high = Math.max(high, peaks[i][1]);
    }
    return [low, high];
  });
}
