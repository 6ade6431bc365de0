// Read a prediction (JSON of schema avscene/1) into arrays, and join its segments to spans of one scene. The rules are
// those of reports/recordings/spans.py: the tests compare the two.

import { percent } from "./notes.js";

export const UNKNOWN_SCENE = "unknown"; // instead of a scene whose probability is below the threshold
const SURE_PROBABILITY = 0.5; // below it a scene is more probably wrong than right
const SURE_LEAD = 0.1; // over the next scene
const MIN_SEGMENTS = 2; // of a span of one of several scenes of a recording
const MIN_SECONDS = 10; // of such spans together
const MIN_SHARE = 0.1; // of the recording, if that is less
const ROWS = [
  ["audio", "From audio"],
  ["video", "From video"],
  ["both", "From both"],
];

// Return the arrays of a prediction; n segments, k scenes, probabilities as rows of k numbers. `models` is what each
// model needs: "audio", "video" or "both".
export function readRecording(prediction, models = {}) {
  const { labels, segments } = prediction;
  const [n, k] = [segments.length, labels.length];
  const recording = {
    labels,
    duration: Math.max(prediction.duration, segments[n - 1].end),
    starts: Float64Array.from(segments, (segment) => segment.start),
    ends: Float64Array.from(segments, (segment) => segment.end),
    accepted: Uint8Array.from(segments, (segment) => segment.scene !== null),
    probabilities: readProbabilities(segments.map((segment) => segment.scores), labels),
    tops: new Int32Array(n),
    mismatchScores: Float64Array.from(segments, (segment) => segment.mismatch?.score ?? NaN),
    familiarities: Float64Array.from(segments, (segment) => segment.familiarity?.score ?? NaN),
    unfamiliar: Uint8Array.from(segments, (segment) => segment.familiarity?.familiar === false),
    mismatch: prediction.mismatch,
    familiarity: prediction.familiarity,
    overall: Float64Array.from(labels, (name) => prediction.scores[name]),
    scene: prediction.scene,
    score: prediction.score,
    tenths: segments.some((segment) => segment.start % 1 !== 0),
    isPhotograph: n === 1 && segments[0].start === segments[0].end,
  };
  for (let i = 0; i < n; i++) {
    const named = segments[i].scene === null ? -1 : labels.indexOf(segments[i].scene);
    recording.tops[i] = named >= 0 ? named : indexOfLargest(recording.probabilities, i * k, k);
  }
  recording.rows = readRows(segments, labels, models);
  const mismatches = mismatchSpans(recording);
  recording.mismatched = Uint8Array.from(segments, ({ start, end }) => isWithin(start, end, mismatches));
  return recording;
}

function readProbabilities(rows, labels) {
  const k = labels.length;
  const values = new Float64Array(rows.length * k).fill(NaN);
  rows.forEach((scores, i) => {
    if (scores) labels.forEach((name, s) => (values[i * k + s] = scores[name]));
  });
  return values;
}

// Return the rows that a fused result is made of: one for audio, one for video, one for models that need both (the mean
// of the models of each), or one for each model if their needs are not known. None if there is one model only. A model
// that is called like a modality needs it.
function readRows(segments, labels, models) {
  const names = [...new Set(segments.flatMap((segment) => Object.keys(segment.by_model ?? {})))];
  if (names.length < 2) return [];
  const needsOf = (name) => models[name] ?? ROWS.find(([modality]) => modality === name)?.[0];
  const groups = names.every(needsOf)
    ? ROWS.map(([needs, title]) => [title, names.filter((name) => needsOf(name) === needs)])
    : names.map((name) => [name, [name]]);
  return groups
    .filter(([, members]) => members.length)
    .map(([title, members]) => {
      const parts = members.map((name) => readProbabilities(segments.map((s) => s.by_model?.[name]), labels));
      return { title, probabilities: meanOfScored(parts) };
    });
}

function meanOfScored(parts) {
  if (parts.length === 1) return parts[0];
  return Float64Array.from(parts[0], (_, at) => {
    const scored = parts.map((part) => part[at]).filter((value) => !Number.isNaN(value));
    return scored.length ? scored.reduce((sum, value) => sum + value, 0) / scored.length : NaN;
  });
}

export function indexOfLargest(values, first = 0, count = values.length) {
  let best = first;
  for (let at = first + 1; at < first + count; at++) if (values[at] > values[best]) best = at;
  return best - first;
}

// Return whether the largest of k probabilities is at least half and leads clearly.
export function isSure(probabilities, first = 0, k = probabilities.length) {
  let [largest, second] = [-1, -1];
  for (let at = first; at < first + k; at++) {
    const value = probabilities[at];
    if (value > largest) [largest, second] = [value, largest];
    else if (value > second) second = value;
  }
  return largest >= SURE_PROBABILITY && largest - second >= SURE_LEAD;
}

// Join consecutive segments of the same scene; a span is all or nothing of a mismatch if `byMismatch`.
export function sceneSpans(recording, { byMismatch = false } = {}) {
  const { starts, ends, labels, accepted, tops } = recording;
  const spans = [];
  let current = null;
  for (let i = 0; i < starts.length; i++) {
    const scene = accepted[i] ? tops[i] : -1;
    const isMismatch = byMismatch && recording.mismatched[i] === 1;
    if (!current || current.column !== scene || current.isMismatch !== isMismatch) {
      current = { column: scene, scene: accepted[i] ? labels[scene] : null, isMismatch, start: starts[i], first: i };
      spans.push(current);
    }
    current.end = ends[i];
    current.last = i;
  }
  for (const span of spans) completeSpan(recording, span);
  return spans;
}

function completeSpan(recording, span) {
  const { probabilities, labels } = recording;
  const k = labels.length;
  let total = 0;
  for (let i = span.first; i <= span.last; i++) {
    total += probabilities[i * k + indexOfLargest(probabilities, i * k, k)];
  }
  span.score = total / (span.last - span.first + 1);
  span.isUnsure = span.scene !== null && !isSure(meanProbabilities(recording, span.first, span.last));
}

function meanProbabilities({ probabilities, labels }, first, last) {
  const k = labels.length;
  const means = new Float64Array(k);
  for (let i = first; i <= last; i++) for (let s = 0; s < k; s++) means[s] += probabilities[i * k + s];
  return means.map((sum) => sum / (last - first + 1));
}

// Return the scenes that a recording consists of: its most probable one, unless several have long and sure spans.
export function recordingScenes(recording) {
  const seconds = new Map();
  for (const span of sceneSpans(recording)) {
    if (span.scene === null || span.isUnsure || span.last - span.first + 1 < MIN_SEGMENTS) continue;
    seconds.set(span.scene, (seconds.get(span.scene) ?? 0) + span.end - span.start);
  }
  const scored = recording.starts.reduce((sum, start, i) => sum + recording.ends[i] - start, 0);
  const least = Math.min(MIN_SECONDS, MIN_SHARE * scored);
  const several = [...seconds].filter(([, total]) => total >= least).map(([scene]) => scene);
  if (several.length > 1) return several;
  return recording.scene === null ? [] : [recording.scene];
}

// Return whether a recording has one scene, which is hardly more probable than others.
export function isUnsure(recording, scenes) {
  return scenes.length === 1 && !isSure(recording.overall);
}

// Return the scene of a recording with its probability, or its scenes.
export function headline(recording) {
  const scenes = recordingScenes(recording);
  if (scenes.length > 1) return scenes.join(", ");
  if (!scenes.length) return UNKNOWN_SCENE;
  return `${scenes[0]} ${percent(recording.score)}${isUnsure(recording, scenes) ? ", unsure" : ""}`;
}

// Return the spans in which audio and video do not belong together; all of a recording that has only a verdict.
export function mismatchSpans({ mismatch, starts, ends }) {
  if (!mismatch) return [];
  if (mismatch.verdict && !mismatch.spans.length) {
    return [{ start: starts[0], end: ends[ends.length - 1], score: mismatch.score }];
  }
  return mismatch.spans;
}

function isWithin(start, end, spans) {
  const middle = (start + end) / 2;
  return spans.some((span) => span.start <= middle && middle <= span.end);
}

// Return the number of the segment at a time: the last one that has begun.
export function segmentAt({ starts }, time) {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= time + 1e-6) low = middle;
    else high = middle - 1;
  }
  return low;
}

// Return the modalities that the models used; those that the recording has if the needs of a model are not known.
export function usedModalities(prediction, models = {}) {
  const names = new Set(prediction.segments.flatMap((segment) => Object.keys(segment.by_model ?? {})));
  const needs = new Set([...names].map((name) => models[name]));
  if (!names.size || needs.has(undefined)) {
    return Object.keys(prediction.modalities).filter((name) => prediction.modalities[name]);
  }
  return ["audio", "video"].filter((name) => needs.has(name) || needs.has("both"));
}

// Return the scenes by importance: those that are the most probable one for the longest time, then by probability.
export function rankedScenes({ labels, tops, overall }) {
  const segments = new Int32Array(labels.length);
  for (const top of tops) segments[top]++;
  return labels.map((_, s) => s).sort((a, b) => segments[b] - segments[a] || overall[b] - overall[a] || a - b);
}
