// Play a recording in the browser's own player, and keep the position of the play head, also where nothing can be played.

import { element } from "../dom.js";

export class Player {
  #listeners = [];
  #position = 0; // seconds; of the play head if there is no media
  #frame = 0;

  // `kind` is "video" or "audio"; `url` is null if the file is gone.
  constructor({ kind, url, name, duration }) {
    this.duration = duration;
    this.media = url && element(kind, { controls: true, preload: "metadata", src: url, "aria-label": name });
    this.note = element("p", { class: "v-player-note", hidden: Boolean(url) });
    if (!url) this.note.textContent = "The file of this recording is not on the server, so it cannot be played.";
    this.element = element("div", { class: `v-player ${url ? kind : "gone"}` }, this.media, this.note);
    if (this.media) this.#listen();
  }

  get time() {
    return Math.min(this.duration, this.media ? this.media.currentTime : this.#position);
  }

  get isPlaying() {
    return Boolean(this.media) && !this.media.paused && !this.media.ended;
  }

  // Call `listener` with whether the recording plays, for each frame while it does, and when the position changes.
  onChange(listener) {
    this.#listeners.push(listener);
  }

  seek(time) {
    this.#position = Math.min(this.duration, Math.max(0, time));
    if (this.media) this.media.currentTime = this.#position;
    this.#report();
  }

  toggle() {
    if (!this.media) return;
    if (this.media.paused) this.media.play().catch(() => {}); // "error" reports what cannot be played
    else this.media.pause();
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.#listeners = [];
    if (!this.media) return;
    this.media.pause();
    this.media.removeAttribute("src");
    this.media.load(); // ends the download
  }

  #listen() {
    for (const type of ["play", "pause", "seeking", "seeked", "ended"]) {
      this.media.addEventListener(type, () => this.#report());
    }
    this.media.addEventListener("play", () => this.#follow());
    this.media.addEventListener("error", () => this.#giveUp());
  }

  #follow() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      if (!this.isPlaying) return;
      this.#report();
      this.#follow();
    });
  }

  #report() {
    for (const listener of this.#listeners) listener(this.isPlaying);
  }

  #giveUp() {
    if (!this.media?.hasAttribute("src")) return;
    this.media.remove();
    this.media = null;
    this.element.className = "v-player gone";
    this.note.hidden = false;
    this.note.textContent = "This browser cannot play the format of this recording. The times below hold all the same.";
    this.#report();
  }
}
