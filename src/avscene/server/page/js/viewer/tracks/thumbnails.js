// Draw thumbnails along the axis, from one image that holds all of them.

import { canvasTrack } from "./track.js";

const GAP = 2; // pixels

// `sprite` is the loaded image; `layout` has the width and height of a thumbnail, the number of columns and their times.
export function thumbnailsTrack(axis, sprite, { width: tileWidth, height: tileHeight, columns, times }) {
  return canvasTrack("Frames", "thumbnails", (context, width, height) => {
    const slotWidth = Math.min(width, (height * tileWidth) / tileHeight + GAP);
    const slotSeconds = (slotWidth / width) * axis.length;
    // Slots are fixed to the time, so that they move with it.
    for (let slot = Math.floor(axis.from / slotSeconds); slot * slotSeconds < axis.to; slot++) {
      const middle = Math.min((slot + 0.5) * slotSeconds, axis.duration);
      const tile = nearest(times, middle);
      const [column, row] = [tile % columns, Math.floor(tile / columns)];
      context.drawImage(
        sprite,
        ...[column * tileWidth, row * tileHeight, tileWidth, tileHeight],
        ...[axis.x(slot * slotSeconds), 0, slotWidth - GAP, height],
      );
    }
  });
}

// Return the position of the time that is nearest to `time`; `times` increase.
export function nearest(times, time) {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] + times[middle + 1]) / 2 < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function loadImage(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(() => image);
}
