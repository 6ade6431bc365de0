// Send files to the server: at most two at a time, with progress, time left and cancel, and again after an interruption.

import { address, ask, connection, errorOf, noteLoss, untilBack } from "./api.js";
import { fileSize } from "./format.js";

const AT_ONCE = 2; // a browser opens about six connections to one server
const ATTEMPTS = 5;
const RATE_WINDOW = 5000; // ms

/** Uploads in order, newest first. Events: `change` with `upload`, an entry as `add` makes it. */
class UploadList extends EventTarget {
  entries = [];

  /**
   * Add files with the settings `{ system, labels, frames, hop }` and the limits of the server; return the entries.
   *
   * An entry has `file`, `state` ("waiting", "sending", "paused", "sent", "refused"), `job` once the server knows it,
   * `loaded` and `file.size` in bytes, `secondsLeft`, `error` and, while paused, `until` (ms since 1970).
   */
  add(files, settings, limits) {
    const added = [...files].map((file) => newEntry(file, settings));
    for (const entry of added) {
      const error = refusal(entry.file, limits);
      if (error) Object.assign(entry, { state: "refused", error });
    }
    this.entries.unshift(...added.toReversed());
    added.forEach((entry) => this.#changed(entry));
    this.#next();
    return added;
  }

  /** Send the media of a job whose upload was interrupted, for example by a closed window. */
  resume(job, file, limits) {
    const error = refusal(file, limits);
    if (error) return error;
    const entry = { ...newEntry(file, { system: job.system }), job };
    this.entries.unshift(entry);
    this.#changed(entry);
    this.#next();
    return null;
  }

  /** Stop an upload and remove what the server has of it. */
  cancel(entry) {
    const isThere = entry.job && entry.state !== "refused";
    this.#drop(entry);
    entry.state = "cancelled";
    entry.request?.abort();
    clearTimeout(entry.timer);
    if (isThere) ask("DELETE", `v1/jobs/${entry.job.id}`);
    this.#changed(entry);
    this.#next();
  }

  /** Try a refused upload again. */
  retry(entry) {
    Object.assign(entry, { state: "waiting", job: null, error: null, loaded: 0, attempts: 0, samples: [] });
    this.#changed(entry);
    this.#next();
  }

  find(id) {
    return this.entries.find((entry) => entry.job?.id === id);
  }

  get isBusy() {
    return this.entries.some((entry) => entry.state === "waiting" || entry.state === "sending" || entry.state === "paused");
  }

  #drop(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
  }

  #changed(entry) {
    this.dispatchEvent(Object.assign(new Event("change"), { upload: entry }));
  }

  #next() {
    if (this.entries.some((entry) => entry.state === "paused")) return; // others would be refused as well
    const sending = this.entries.filter((entry) => entry.state === "sending").length;
    const waiting = this.entries.filter((entry) => entry.state === "waiting").toReversed(); // the oldest first
    for (const entry of waiting.slice(0, AT_ONCE - sending)) this.#send(entry);
  }

  async #send(entry) {
    entry.state = "sending";
    this.#changed(entry);
    const error = await this.#deliver(entry);
    if (entry.state === "cancelled") return;
    if (!error) {
      entry.state = "sent";
      this.#drop(entry);
    } else if (error.type === "offline" || error.status === 429 || error.status === 503) {
      this.#pause(entry, error);
    } else {
      Object.assign(entry, { state: "refused", error });
      if (entry.job) ask("DELETE", `v1/jobs/${entry.job.id}`); // views know the upload by its job, until it is tried again
    }
    this.#changed(entry);
    this.#next();
  }

  /** Announce the file, then send it; return the error, if any. */
  async #deliver(entry) {
    const { file, settings } = entry;
    if (!entry.job) {
      const json = { name: file.name.replace(/[\p{Cc}/\\]+/gu, " ").slice(-255), system: settings.system, frames: settings.frames };
      if (settings.labels) json.labels = settings.labels;
      if (settings.hop) json.hop = settings.hop;
      const { value, error } = await ask("POST", "v1/jobs", { json });
      if (error) return error;
      entry.job = value;
      if (entry.state === "cancelled") return ask("DELETE", `v1/jobs/${value.id}`);
      this.#changed(entry);
    }
    return this.#put(entry);
  }

  /** Send the bytes with XMLHttpRequest: `fetch` does not say how many have left. */
  #put(entry) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      entry.request = request;
      entry.samples = [];
      request.upload.addEventListener("progress", (event) => {
        this.#measure(entry, event.loaded);
        this.#changed(entry);
      });
      request.addEventListener("load", () => {
        const { status, responseText } = request;
        if (status < 300) entry.job = JSON.parse(responseText);
        if (status < 300 || status === 409) return resolve(null); // 409: it arrived before the connection was lost
        if (status === 404) entry.job = null; // removed meanwhile: announce it again
        return resolve(errorOf(status, responseText, request.getResponseHeader("Retry-After")));
      });
      request.addEventListener("error", () => resolve({ type: "offline", message: "The connection was lost.", status: 0, retryAfter: null }));
      request.addEventListener("abort", () => resolve(null));
      request.open("PUT", address(`v1/jobs/${entry.job.id}/media`));
      request.setRequestHeader("Content-Type", entry.file.type || "application/octet-stream");
      request.send(entry.file);
    });
  }

  #measure(entry, loaded) {
    const now = performance.now();
    entry.loaded = loaded;
    entry.samples = [...entry.samples.filter(([time]) => now - time < RATE_WINDOW), [now, loaded]];
    const [[time, first]] = entry.samples;
    const rate = (loaded - first) / (now - time); // bytes/ms
    entry.secondsLeft = now - time > 500 && rate > 0 ? (entry.file.size - loaded) / rate / 1000 : null;
  }

  /** Wait as long as the server asks, or until it answers; give up after some attempts without an answer. */
  #pause(entry, error) {
    entry.attempts = error.type === "offline" ? (entry.attempts ?? 0) + 1 : 0;
    if (entry.attempts > ATTEMPTS) {
      Object.assign(entry, { state: "refused", error });
      return;
    }
    const seconds = error.retryAfter ?? Math.min(30, 2 ** entry.attempts);
    Object.assign(entry, { state: "paused", error, until: Date.now() + seconds * 1000, loaded: 0, secondsLeft: null });
    if (error.type === "offline") ask("GET", "healthz").then(({ error: gone }) => gone && noteLoss());
    entry.timer = setTimeout(async () => {
      await untilBack();
      if (entry.state !== "paused") return;
      entry.state = "waiting";
      this.#changed(entry);
      this.#next();
    }, seconds * 1000);
  }
}

function newEntry(file, settings) {
  return { file, settings, state: "waiting", job: null, loaded: 0, secondsLeft: null, error: null, until: null, samples: [] };
}

/** Return the error of a file that the server would refuse, before any of it is sent, or null. */
export function refusal(file, limits) {
  const suffix = file.name.includes(".") ? file.name.split(".").pop().toLowerCase() : "";
  const error = (type, message) => ({ type, message, status: 0, retryAfter: null });
  if (file.size === 0) return error("media", `${file.name} is empty.`);
  if (limits && file.size > limits.max_upload) {
    return error("too_large", `${file.name} has ${fileSize(file.size)}; the server takes files of up to ${fileSize(limits.max_upload)}.`);
  }
  const isMedia = /^(video|audio|image)\//.test(file.type);
  const isKnown = limits?.suffixes.some((known) => known.replace(/^\./, "") === suffix);
  if (limits && file.type && !isMedia && !isKnown) return error("unsupported", `${file.name} is neither video nor audio nor a photograph.`);
  return null;
}

export const uploads = new UploadList();

addEventListener("beforeunload", (event) => {
  if (uploads.isBusy) event.preventDefault(); // leaving would end the uploads: the browser asks
});
connection.addEventListener("unauthorized", () => uploads.entries.forEach((entry) => entry.request?.abort()));
