// Show the spans of a recording as a table whose rows move the play head, one page of rows at a time.

import { element } from "../dom.js";
import { count, probability, shortTime } from "../format.js";
import { UNKNOWN_SCENE } from "./data.js";
import { sceneLabel, shownName } from "./swatch.js";

const PAGE = 100; // rows

export class SpansTable {
  #page = -1;
  #current = -1;

  constructor(spans, { tenths, onSeek }) {
    Object.assign(this, { spans, tenths, onSeek, pages: Math.ceil(spans.length / PAGE) });
    this.body = element("tbody");
    const heads = [["Time", ""], ["Scene", ""], ["Probability", "number"]];
    const head = element("tr", {}, ...heads.map(([text, kind]) => element("th", { scope: "col", class: kind || null }, text)));
    const caption = element("caption", { class: "hidden" }, "Spans of one scene; the button of a row moves the play head there");
    const table = element("table", {}, caption, element("thead", {}, head), this.body);
    this.scroll = element("div", { class: "v-spans-scroll", tabindex: "0", role: "region", "aria-label": "Spans" }, table);
    const isLong = tenths || spans.at(-1).end >= 3600; // its times take two lines
    const kind = `card v-spans${isLong ? " v-long" : ""}`;
    this.element = element("section", { class: kind, "aria-label": "Spans" }, this.#heading(), this.scroll, this.#pager());
    this.#turn(0);
  }

  // Mark the row of the span at `time`. While the recording plays, the page of a table that has the focus does not turn.
  show(time, isPlaying = false) {
    const position = Math.max(0, this.spans.findLastIndex((span) => span.start <= time + 1e-6));
    if (position === this.#current) return;
    this.#current = position;
    const page = Math.floor(position / PAGE);
    if (!isPlaying || !this.element.contains(document.activeElement)) this.#turn(page);
    this.#mark();
  }

  #heading() {
    return element("h2", {}, "Spans ", element("span", { class: "muted" }, this.spans.length.toLocaleString("en")));
  }

  #pager() {
    this.range = element("span", { class: "muted" });
    const button = (text, step) =>
      element("button", { type: "button", class: "small", onclick: () => this.#turn(this.#page + step) }, text);
    [this.previous, this.next] = [button("Previous", -1), button("Next", 1)];
    return this.pages > 1 && element("nav", { class: "v-pager", "aria-label": "Pages of spans" }, this.previous, this.range, this.next);
  }

  #turn(page) {
    const wanted = Math.min(this.pages - 1, Math.max(0, page));
    if (wanted === this.#page) return;
    this.#page = wanted;
    const [first, end] = [wanted * PAGE, Math.min(this.spans.length, (wanted + 1) * PAGE)];
    this.body.replaceChildren(...this.spans.slice(first, end).map((span) => this.#row(span)));
    this.range.textContent = `${(first + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${count(this.spans.length, "span")}`;
    this.previous.setAttribute("aria-disabled", String(wanted === 0));
    this.next.setAttribute("aria-disabled", String(wanted === this.pages - 1));
    this.scroll.scrollTop = 0;
    this.#mark();
  }

  #row(span) {
    const { tenths } = this;
    const [start, end] = [span.start, span.end].map((time) => shortTime(time, { tenths }));
    const button = element("button", { type: "button", class: "v-seek" }, `${start} to ${end}`);
    const name = span.scene === null ? UNKNOWN_SCENE : shownName(span.scene);
    const tags = [...(span.isUnsure ? ["unsure"] : []), ...(span.isMismatch ? ["mismatch"] : [])];
    const line = element("span", { class: "v-scene-line" }, sceneLabel(span.column, name), tags.map((tag) => element("span", { class: "tag warning" }, tag)));
    const shown = element("td", { class: "v-scene" }, line);
    const score = element("td", { class: "number" }, span.scene === null ? "" : probability(span.score));
    const row = element("tr", { "data-scene": span.scene ?? "" }, element("th", { scope: "row" }, button), shown, score);
    row.addEventListener("click", () => this.onSeek(span.start));
    return row;
  }

  #mark() {
    this.body.querySelector("[aria-current]")?.removeAttribute("aria-current");
    const row = this.body.rows[this.#current - this.#page * PAGE];
    if (!row) return;
    row.setAttribute("aria-current", "true");
    const [top, bottom] = [this.scroll.scrollTop, this.scroll.scrollTop + this.scroll.clientHeight];
    const isVisible = row.offsetTop - row.offsetHeight >= top && row.offsetTop + row.offsetHeight <= bottom;
    if (!isVisible) this.scroll.scrollTop = row.offsetTop - this.scroll.clientHeight / 2;
  }
}
