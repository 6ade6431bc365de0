// Move the play head and the part that is shown by keys.

import { element } from "../dom.js";
import { segmentAt } from "./data.js";

const ZOOM = 0.5; // of one key
const SHIFT = 0.25; // of the part shown, of one key
const KEYS = [
  ["← →", "one segment back or on"],
  ["Page Up, Page Down", "one span back or on"],
  ["Home, End", "to the beginning or the end"],
  ["Space", "play or pause"],
  ["+ − 0", "zoom in, zoom out, whole recording"],
  ["Shift with ← →", "move the part that is shown"],
];

// Listen on the document, for as long as `signal` is not aborted. Keys work while nothing else on the page uses them;
// those that scroll a page work on `slider` only.
export function listenToKeys({ recording, spans, player, axis, slider, root, signal }) {
  const { starts } = recording;
  const segment = (step) => {
    const now = segmentAt(recording, player.time);
    const isInside = step < 0 && player.time > starts[now] + 1e-3 && player.isPlaying === false;
    player.seek(starts[Math.min(starts.length - 1, Math.max(0, isInside ? now : now + step))]);
  };
  const span = (step) => {
    const now = spans.findLastIndex((item) => item.start <= player.time + 1e-6);
    player.seek(spans[Math.min(spans.length - 1, Math.max(0, now + step))].start);
  };
  const everywhere = {
    ArrowLeft: (event) => (event.shiftKey ? axis.move(-SHIFT * axis.length) : segment(-1)),
    ArrowRight: (event) => (event.shiftKey ? axis.move(SHIFT * axis.length) : segment(1)),
    " ": () => player.toggle(),
  };
  const onSlider = {
    ...everywhere,
    ArrowDown: () => segment(-1),
    ArrowUp: () => segment(1),
    PageUp: () => span(-1),
    PageDown: () => span(1),
    Home: () => player.seek(0),
    End: () => player.seek(starts[starts.length - 1]),
    "+": () => axis.zoom(ZOOM, player.time),
    "=": () => axis.zoom(ZOOM, player.time),
    "-": () => axis.zoom(1 / ZOOM, player.time),
    0: () => axis.reset(),
  };
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
      const { target } = event;
      const isFree = target === document.body || (root.contains(target) && !usesKey(target, event.key));
      const action = target === slider ? onSlider[event.key] : isFree ? everywhere[event.key] : undefined;
      if (!action || (event.key === " " && !player.media)) return;
      event.preventDefault();
      action(event);
    },
    { signal },
  );
}

// Return whether an element does something of its own with a key.
function usesKey(target, key) {
  if (target.closest("input, select, textarea, video, audio, dialog")) return true;
  return key === " " && target.closest("button, a, summary, [tabindex='0']") !== null;
}

// Return a folded list of the keys.
export function keysHelp() {
  const items = KEYS.flatMap(([keys, action]) => [element("dt", {}, keys), element("dd", {}, action)]);
  return element("details", { class: "v-keys" }, element("summary", {}, "Keyboard"), element("dl", {}, ...items));
}
