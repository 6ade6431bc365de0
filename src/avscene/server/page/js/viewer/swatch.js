// Show which color and pattern belongs to a scene. The classes are in viewer.css.

import { element } from "../dom.js";
import { readable, sceneName } from "../format.js";

export const COLORS = 10; // custom properties --c0 to --c9
export const PATTERNS = 5; // plain, diagonal, dots, vertical, horizontal; then they repeat

// Return a sample for the scene of this number; -1 is that of no accepted scene.
export function swatch(scene) {
  const classes = scene < 0 ? "unknown" : `c${scene % COLORS} p${Math.floor(scene / COLORS) % PATTERNS}`;
  return element("span", { class: `v-swatch ${classes}`, "aria-hidden": "true" });
}

// Return the name of a scene as it is shown.
export const shownName = (label) => readable(sceneName(label));

// Return the sample of a scene with a name beside it.
export const sceneLabel = (scene, name) => element("span", { class: "v-name" }, swatch(scene), element("span", {}, name));
