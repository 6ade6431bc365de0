// Hold the part of the time that is shown, for all tracks; zoom and move it.

const MIN_SECONDS = 1; // of the shortest part shown
const MIN_SEGMENTS = 4;
const TOLERANCE = 1e-6; // seconds

export class TimeAxis {
  #listeners = [];

  // `duration` and `segment`, the length of a segment, are in seconds.
  constructor(duration, segment) {
    this.duration = duration;
    this.shortest = Math.min(duration, Math.max(MIN_SECONDS, MIN_SEGMENTS * segment));
    this.from = 0;
    this.to = duration;
    this.width = 1; // CSS pixels of the tracks
  }

  get length() {
    return this.to - this.from;
  }

  get isWhole() {
    return this.length >= this.duration;
  }

  onChange(listener) {
    this.#listeners.push(listener);
  }

  // Return the pixel of a time, and the time of a pixel.
  x(time) {
    return ((time - this.from) / this.length) * this.width;
  }

  time(x) {
    return Math.min(this.duration, Math.max(0, this.from + (x / this.width) * this.length));
  }

  // Show [from, to], shifted and shortened so that it lies within the recording. Return whether it changed.
  show(from, to) {
    const length = Math.min(this.duration, Math.max(this.shortest, to - from));
    const first = Math.min(this.duration - length, Math.max(0, (from + to - length) / 2));
    if (Math.abs(first - this.from) + Math.abs(length - this.length) < TOLERANCE) return false;
    this.from = first;
    this.to = first + length;
    for (const listener of this.#listeners) listener();
    return true;
  }

  // Multiply the length by `factor`, with `time` staying where it is.
  zoom(factor, time = (this.from + this.to) / 2) {
    const length = Math.min(this.duration, Math.max(this.shortest, this.length * factor));
    const from = time - ((time - this.from) / this.length) * length;
    return this.show(from, from + length);
  }

  move(seconds) {
    return this.show(this.from + seconds, this.to + seconds);
  }

  reset() {
    return this.show(0, this.duration);
  }

  // Move so that `time` is shown, one tenth from the start if it was not.
  reveal(time) {
    if (time >= this.from && time <= this.to) return false;
    const from = time - this.length / 10;
    return this.show(from, from + this.length);
  }
}
