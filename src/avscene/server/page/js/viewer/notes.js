// Write what a reader of a prediction must know as lines of text, as reports/recordings/notes.py does.

import { rounded, shortTime } from "../format.js";

const MISMATCH = "mismatch: audio and video do not seem to belong together";
const FAMILIAR_SHARE = 0.05; // of segments like those of training that are called unfamiliar

// Return a share as Python's format ".0%" does.
export const percent = (share) => `${rounded(share * 100)}%`;

// Return a number with a few significant digits and no trailing zeros, as Python's format "g" does.
export function general(value, digits = 6) {
  if (value === 0) return "0";
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const plain = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const exponent = Number(power);
  if (exponent < -4 || exponent >= digits) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${plain(mantissa)}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  return plain(value.toFixed(Math.max(0, digits - 1 - exponent)));
}

export const isUnfamiliar = ({ familiarity }) => familiarity !== null && familiarity !== undefined && !familiarity.familiar;

// Return that a recording or some of its segments are like nothing in training.
export function unfamiliarLines(recording) {
  const { starts, ends, unfamiliar, tenths } = recording;
  const count = unfamiliar.reduce((sum, value) => sum + value, 0);
  const text = `${count} of ${starts.length} segments are unlike those that the system was trained on`;
  if (isUnfamiliar(recording)) return [`unfamiliar: ${text}; it may show none of the scenes`];
  if (count <= FAMILIAR_SHARE * starts.length) return []; // so many are to be expected
  const first = shortTime(starts[unfamiliar.indexOf(1)], { tenths });
  const last = shortTime(ends[unfamiliar.lastIndexOf(1)], { tenths });
  return [`partly unfamiliar: ${text}, between ${first} and ${last}`];
}

// Return what a reader of a verdict, or of spans without one, needs to weigh it.
export function mismatchLines({ mismatch, tenths }) {
  if (!mismatch || !(mismatch.verdict || mismatch.spans.length)) return [];
  const lines = mismatch.verdict ? [`${MISMATCH} (${percent(mismatch.score)})`] : [];
  for (const span of mismatch.spans) {
    const [start, end] = [span.start, span.end].map((time) => shortTime(time, { tenths }));
    lines.push(`${MISMATCH} from ${start} to ${end} (${percent(span.score)})`);
  }
  let weight = `for a prior of ${general(mismatch.prior)} (--prior), threshold ${percent(mismatch.threshold)}`;
  if (mismatch.false_alarms !== null) {
    weight += `: of 100 intact recordings, ${general(mismatch.false_alarms, 2)} are expected above it`;
  }
  return [...lines, weight];
}
