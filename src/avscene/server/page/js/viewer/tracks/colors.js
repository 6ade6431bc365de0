// Read the colors of the page, which follow its theme, for drawing on canvases.

import { COLORS, PATTERNS } from "../swatch.js";

const NAMES = ["surface", "ink", "muted", "line", "accent", "warning"];
const TEXT = 0.75; // of the size of text on the page
const TILE = 8; // pixels of a pattern
const FAINT = 0.4; // share of the color of a scene that is not sure
export const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [14, 4]]; // of lines, like patterns of areas

export class Palette {
  #patterns = new Map();
  #widths = new Map();

  constructor(container) {
    const style = getComputedStyle(container);
    const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const read = (name) => rgb(probe, style.getPropertyValue(`--${name}`).trim() || "#808080");
    for (const name of NAMES) this[name] = css(read(name));
    const surface = read("surface");
    this.scenes = Array.from({ length: COLORS }, (_, s) => {
      const color = read(`c${s}`);
      const faint = color.map((value, i) => value * FAINT + surface[i] * (1 - FAINT));
      return { sure: ground(color), unsure: ground(faint) };
    });
    const size = Math.round(TEXT * parseFloat(getComputedStyle(document.documentElement).fontSize));
    this.font = `${size}px ${style.fontFamily}`;
  }

  scene(scene) {
    return this.scenes[scene % COLORS].sure.fill;
  }

  // Return the color of the area of a scene, and one of text on it.
  area(scene, isSure) {
    return this.scenes[scene % COLORS][isSure ? "sure" : "unsure"];
  }

  // Return the width of a text in the font of `context`.
  width(context, text) {
    if (!this.#widths.has(text)) this.#widths.set(text, context.measureText(text).width);
    return this.#widths.get(text);
  }

  // Return the fill of an area of a scene: its color, with a pattern from the eleventh scene on.
  fill(context, scene, isSure = true) {
    const { fill, text } = this.area(scene, isSure);
    const kind = Math.floor(scene / COLORS) % PATTERNS;
    return kind ? this.#pattern(context, `${kind} ${fill}`, fill, text, kind) : fill;
  }

  // Return the fill of spans without an accepted scene: lines on the ground.
  hatch(context, color = this.muted) {
    return this.#pattern(context, `hatch ${color}`, null, color, 1);
  }

  #pattern(context, key, ground, lines, kind) {
    const { a: scale } = context.getTransform(); // of the canvas; a tile is drawn pixel by pixel
    const full = `${key} ${scale}`;
    if (!this.#patterns.has(full)) {
      const pattern = context.createPattern(tile(ground, lines, kind, devicePixelRatio), "repeat");
      pattern.setTransform({ a: 1 / scale, d: 1 / scale });
      this.#patterns.set(full, pattern);
    }
    return this.#patterns.get(full);
  }
}

const css = ([red, green, blue]) => `rgb(${Math.round(red)} ${Math.round(green)} ${Math.round(blue)})`;

// Return what the browser makes of a color: red, green, blue.
function rgb(context, color) {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

// Return a color to fill an area with, and black or white for text on it.
const ground = (color) => ({ fill: css(color), text: luminance(color) > 0.179 ? "#000" : "#fff" });

// Return the relative luminance of WCAG; above 0.179, black has more contrast than white.
function luminance(color) {
  const [red, green, blue] = color.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function tile(ground, lines, kind, ratio) {
  const canvas = document.createElement("canvas");
  const size = Math.round(TILE * ratio);
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  if (ground) {
    context.fillStyle = ground;
    context.fillRect(0, 0, size, size);
  }
  context.globalAlpha = ground ? 0.55 : 1;
  context.strokeStyle = context.fillStyle = lines;
  context.lineWidth = size / 6;
  context.beginPath();
  if (kind === 1) for (const shift of [-size, 0, size]) line(context, shift, size, shift + size, 0);
  if (kind === 2) context.arc(size / 2, size / 2, size / 5, 0, 7);
  if (kind === 3) line(context, size / 2, 0, size / 2, size);
  if (kind === 4) line(context, 0, size / 2, size, size / 2);
  if (kind === 2) context.fill();
  else context.stroke();
  return canvas;
}

function line(context, x, y, toX, toY) {
  context.moveTo(x, y);
  context.lineTo(toX, toY);
}
