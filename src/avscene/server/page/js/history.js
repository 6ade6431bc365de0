// Show the list of recordings, newest first: uploads, jobs in progress and finished ones, with search and deletion.

import { ask, connection } from "./api.js";
import { announce, confirmDeletion, element, showProblem } from "./dom.js";
import { count } from "./format.js";
import { announceEnd, recordingRow } from "./row.js";
import { uploads } from "./upload.js";
import { isFinished, watchJob } from "./watching.js";

const PAGE = 50;
const MOST = 200; // jobs that the server lists at once
const PAUSE = 250; // ms between the last key and a search
const WATCHED = 2; // jobs followed by events; the others by asking for the list
const POLL = 2500; // ms
const MOST_WAITING = 20; // uploads that wait and are shown

const kept = { search: "", state: "" }; // while the page is open, also behind other views
let length = PAGE; // of the list when it was left

/** Fill `container` and keep it up to date; return `{ close() }`. */
export function showHistory(container) {
  const list = new RecordingList(container);
  list.ready = list.load({ isAgain: true });
  return list;
}

class RecordingList {
  #jobs = new Map(); // id -> job, newest first
  #rows = new Map(); // id or upload -> row
  #watches = new Map(); // id -> { close }
  #next = null; // cursor of the next page
  #timer = 0;
  #question = new AbortController();
  #closed = false;

  constructor(container) {
    this.search = element("input", { type: "search", id: "search", placeholder: "File or scene", value: kept.search, autocomplete: "off" });
    this.state = element(
      "select",
      { id: "state" },
      [["", "All"], ["done", "Done"], ["failed", "Failed"], ["running", "In progress"], ["queued", "Queued"]].map(([value, text]) => element("option", { value }, text)),
    );
    this.state.value = kept.state;
    this.list = element("ul", { class: "rows", role: "list" });
    this.rest = element("p", { class: "muted rest" });
    this.note = element("div", { class: "empty", hidden: true });
    this.more = element("button", { type: "button", class: "more", hidden: true, onclick: () => this.load({ more: true }) }, "Show more");
    this.filters = element(
      "div",
      { class: "filters", role: "search" },
      element("label", { for: "search", class: "hidden" }, "Search by file or scene"),
      this.search,
      element("label", { for: "state", class: "hidden" }, "State"),
      this.state,
    );
    container.append(element("div", { class: "list-head" }, element("h2", { id: "recordings-title" }, "Recordings"), this.filters), this.rest, this.list, this.note, this.more);
    let pause = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.#filter(), PAUSE);
    });
    this.state.addEventListener("change", () => this.#filter());
    this.onUpload = ({ upload }) => this.#takeUpload(upload);
    this.onBack = () => this.load();
    uploads.addEventListener("change", this.onUpload);
    connection.addEventListener("back", this.onBack);
    this.onVisible = () => document.hidden || this.load({ isQuiet: true }); // other windows may have changed the list
    document.addEventListener("visibilitychange", this.onVisible);
  }

  close() {
    length = Math.min(MOST, Math.max(PAGE, this.#jobs.size));
    this.#closed = true;
    this.#question.abort();
    clearTimeout(this.#timer);
    for (const watch of this.#watches.values()) watch.close();
    uploads.removeEventListener("change", this.onUpload);
    connection.removeEventListener("back", this.onBack);
    document.removeEventListener("visibilitychange", this.onVisible);
  }

  #filter() {
    Object.assign(kept, { search: this.search.value.trim(), state: this.state.value });
    this.load({ isAnswer: true });
  }

  /** Ask for the first page, with `more` for the next one, or with `isAgain` for as much as was there before. */
  async load({ more = false, isAnswer = false, isQuiet = false, isAgain = false } = {}) {
    this.#question.abort();
    this.#question = new AbortController();
    const before = more ? this.#next : null;
    const limit = isQuiet ? Math.min(MOST, Math.max(PAGE, this.#reach())) : isAgain ? length : PAGE;
    const parameters = { ...kept, limit, before };
    const { value, error } = await ask("GET", "v1/jobs", { parameters, signal: this.#question.signal });
    if (this.#closed || error?.type === "aborted") return;
    if (error) return void (isQuiet ? this.#plan() : this.#showError(error));
    const olds = more || isQuiet ? [...this.#jobs.values()] : [];
    const news = value.jobs;
    if (isQuiet) this.#merge(news, limit);
    else this.#jobs = new Map([...olds, ...news].map((job) => [job.id, this.#newer(job)]));
    if (!isQuiet) this.#next = value.next;
    this.#draw();
    if (isAnswer) announce(this.#jobs.size ? `${this.#jobs.size}${this.#next ? " or more" : ""} recordings` : "No recording");
    if (more) this.#rows.get(news[0]?.id)?.node.querySelector("a")?.focus();
  }

  /** Take the newest page into the list: change what is known, add what is new, remove what is gone. */
  #merge(news, limit) {
    const known = [...this.#jobs.values()];
    const ids = new Set(news.map((job) => job.id));
    const oldest = news.length === limit ? news.at(-1).created : "";
    const rest = known.filter((job) => !ids.has(job.id) && job.created < oldest);
    for (const job of news) if (isFinished(job) && this.#jobs.has(job.id) && !isFinished(this.#jobs.get(job.id))) announceEnd(job);
    this.#jobs = new Map([...news.map((job) => this.#newer(job)), ...rest].map((job) => [job.id, job]));
  }

  /** Return the number of rows down to the last job that is not finished. */
  #reach() {
    return 1 + [...this.#jobs.values()].findLastIndex((job) => !isFinished(job));
  }

  #newer(job) {
    const known = this.#jobs.get(job.id);
    return known && known.version > job.version ? known : job;
  }

  #takeUpload(upload) {
    if (upload.state === "sent") this.#jobs = new Map([[upload.job.id, this.#newer(upload.job)], ...[...this.#jobs].filter(([id]) => id !== upload.job.id)]);
    if (upload.state === "cancelled" && upload.job) this.#jobs.delete(upload.job.id);
    const row = this.#rows.get(upload);
    if (row && upload.state === "sending" && row.isSending) row.update(upload.job, upload); // only its progress
    else this.#draw();
  }

  /** Bring the rows into the order of uploads and jobs; rows that stay keep their elements, and so the focus. */
  #draw() {
    const sending = new Map(uploads.entries.filter((entry) => entry.job).map((entry) => [entry.job.id, entry]));
    const waiting = uploads.entries.filter((entry) => entry.state === "waiting");
    const hidden = new Set(waiting.slice(0, -MOST_WAITING)); // those to be sent last
    this.rest.textContent = hidden.size ? `${count(hidden.size, "more upload")} ${hidden.size === 1 ? "waits" : "wait"}.` : "";
    const shown = [...uploads.entries.filter((entry) => !hidden.has(entry)).map((entry) => [entry, entry.job, entry]), ...[...this.#jobs.values()].filter((job) => !sending.has(job.id)).map((job) => [job.id, job, null])];
    const rows = new Map();
    shown.forEach(([key, job, upload], index) => {
      const row = this.#rows.get(key) ?? recordingRow({ onDelete: (item) => this.#delete(item), onCancel: (entry) => uploads.cancel(entry), onRetry: (entry) => uploads.retry(entry) });
      row.update(job, upload);
      row.isSending = upload?.state === "sending";
      rows.set(key, row);
      if (this.list.children[index] !== row.node) this.list.insertBefore(row.node, this.list.children[index] ?? null);
    });
    for (const [key, row] of this.#rows) if (!rows.has(key)) row.node.remove();
    this.#rows = rows;
    this.more.hidden = !this.#next;
    this.#showEmpty(shown.length === 0);
    this.#follow();
  }

  #showEmpty(isEmpty) {
    const isFiltered = Boolean(kept.search || kept.state);
    this.filters.hidden = isEmpty && !isFiltered;
    this.list.hidden = isEmpty;
    this.note.hidden = !isEmpty;
    if (!isEmpty) return;
    if (!isFiltered) {
      this.note.replaceChildren(element("p", {}, "No recordings yet. What you drop on this page is listed here."));
      return;
    }
    const clear = () => {
      this.search.value = this.state.value = "";
      this.#filter();
      this.search.focus();
    };
    this.note.replaceChildren(element("p", {}, "No recording matches this search."), element("button", { type: "button", onclick: clear }, "Show all"));
  }

  #showError(error) {
    this.note.hidden = false;
    this.note.replaceChildren(element("p", {}, error.message), element("button", { type: "button", onclick: () => this.load() }, "Try again"));
  }

  /** Watch the first jobs in progress by events and plan to ask for the others. */
  #follow() {
    const active = [...this.#jobs.values()].filter((job) => !isFinished(job) && job.state !== "waiting");
    const first = [...active.filter((job) => job.state === "running"), ...active.filter((job) => job.state === "queued").toReversed()].slice(0, WATCHED);
    const ids = new Set(first.map((job) => job.id));
    for (const [id, watch] of this.#watches) {
      if (ids.has(id)) continue;
      watch.close();
      this.#watches.delete(id);
    }
    for (const { id } of first) {
      if (this.#watches.has(id)) continue;
      this.#watches.set(id, watchJob(id, { onJob: (job) => this.#take(job), onRemoved: () => this.#forget(id) }));
    }
    if ([...this.#jobs.values()].some((job) => !isFinished(job) && !ids.has(job.id))) this.#plan();
  }

  #plan() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (document.hidden ? this.#plan() : this.load({ isQuiet: true })), POLL);
  }

  #take(job) {
    if (!this.#jobs.has(job.id)) return;
    this.#jobs.set(job.id, job);
    if (isFinished(job)) announceEnd(job);
    this.#draw();
  }

  #forget(id) {
    this.#jobs.delete(id);
    this.#draw();
  }

  async #delete(job) {
    if (!(await confirmDeletion(job.name, isFinished(job)))) return;
    const { error } = await ask("DELETE", `v1/jobs/${job.id}`);
    if (error && error.status !== 404) return void showProblem("The recording was not deleted", error.message);
    const index = [...this.#jobs.keys()].indexOf(job.id);
    this.#forget(job.id);
    announce(`${job.name}: deleted`);
    const neighbour = [...this.#jobs.keys()][Math.min(index, this.#jobs.size - 1)];
    (this.#rows.get(neighbour)?.node.querySelector("a") ?? this.search).focus();
  }
}
