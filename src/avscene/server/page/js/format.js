// Write times, sizes, dates, probabilities and names of scenes as the page shows them.

const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Return the nearest integer; of two, the even one, as Python has it. */
export function rounded(value) {
  const whole = Math.floor(value);
  return value - whole === 0.5 ? whole + (whole % 2) : Math.round(value);
}

/** Return `0:42`, or `1:02:03` from an hour on; with `tenths`, `0:42.5`. */
export function shortTime(seconds, { tenths = false } = {}) {
  const all = rounded(seconds * 10);
  const whole = tenths ? Math.floor(all / 10) : rounded(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const text = hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  return tenths ? `${text}.${all % 10}` : text;
}

/** Return how long something still takes, in steps that do not flicker. */
export function timeLeft(seconds) {
  if (seconds < 5) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return `about ${minutes} min left`;
  return `about ${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

/** Return a size in bytes as `512 B`, `12 kB`, `3.4 MB`, `2 GB`. */
export function fileSize(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  const text = value < 10 && unit > 0 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value));
  return `${text} ${units[unit]}`;
}

/** Return the duration of a recording; a photograph has none. */
export function duration(seconds) {
  if (seconds === 0) return "photograph";
  return seconds < 60 ? `${Number(seconds.toFixed(1))} s` : shortTime(seconds);
}

/** Return a duration in words for limits: `4 hours`, `90 minutes`. */
export function longDuration(seconds) {
  const [value, unit] = seconds >= 3600 ? [seconds / 3600, "hour"] : seconds >= 60 ? [seconds / 60, "minute"] : [seconds, "second"];
  const text = String(Number(value.toFixed(1)));
  return `${text} ${unit}${text === "1" ? "" : "s"}`;
}

/** Return `today 14:02`, `yesterday 09:30` or `3 Nov 2026 09:30` of an ISO date. */
export function date(text) {
  const [when, now] = [new Date(text), new Date()];
  const days = (value) => new Date(value.getFullYear(), value.getMonth(), value.getDate()).getTime();
  const ago = Math.round((days(now) - days(when)) / 86_400_000);
  const day = ago === 0 ? "today" : ago === 1 ? "yesterday" : DATE.format(when);
  return `${day} ${CLOCK.format(when)}`;
}

/** Return a probability with two decimals; one below 1 is never written as 1.00. */
export function probability(value) {
  return value < 1 && value >= 0.995 ? "0.99" : value.toFixed(2);
}

/** Return the name of a scene as words: `metro_station` is `metro station`. */
export function sceneName(label) {
  return label.replaceAll("_", " ");
}

/** Return `1 recording`, `2,431 recordings`. */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** Return the last part of a path or URL, for narrow places. */
export function baseName(source) {
  return source.split(/[\\/]/).filter(Boolean).pop() ?? source;
}

/** Return text in which control characters and changes of direction are shown as escapes. */
export function readable(text) {
  return text.replace(UNPRINTABLE, (char) => {
    const code = char.codePointAt(0);
    const hex = code.toString(16);
    return code < 256 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`;
  });
}
