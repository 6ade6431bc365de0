// Make the paths of steps for uPlot: columns of constant values, filled as rectangles on whole pixels, which is several
// times faster than stroking lines.

const THICKNESS = 2; // CSS pixels of a line
const SAME = 0.5; // pixels; columns that differ by less are one

// Return a builder of paths for lines with `dash`: lengths that are drawn and left out in turn, in CSS pixels.
export function stepLines(dash) {
  return (plot, series) => {
    const path = new Path2D();
    const size = Math.max(1, Math.round(THICKNESS * devicePixelRatio));
    const lengths = dash.map((length) => length * devicePixelRatio);
    let last = null;
    for (const { from, to, y } of steps(plot, series)) {
      const top = y - (size >> 1);
      if (lengths.length) dashes(path, from, to, top, size, lengths);
      else path.rect(from, top, to - from, size);
      if (last && last.to === from && Math.abs(last.y - y) > 1) {
        const [upper, lower] = [Math.min(last.y, y) - (size >> 1), Math.max(last.y, y) + (size >> 1)];
        path.rect(from - (size >> 1), upper, size, lower - upper);
      }
      last = { to, y };
    }
    return { stroke: null, fill: path, clip: null, band: null, gaps: null, flags: 1 };
  };
}

// Build the path of an area down to the next series, or to zero.
export function stepAreas(plot, series) {
  const path = new Path2D();
  const { left, width } = plot.bbox;
  const [values, below] = [plot.data[series], plot.data[series + 1]];
  const [top, bottom] = [plot.valToPos(1, "y", true), plot.valToPos(0, "y", true)];
  const place = (value) => Math.round(bottom + (top - bottom) * value);
  let [from, upper, lower] = [0, 0, 0]; // of the rectangle that is not yet added
  const add = (to) => lower > upper && path.rect(from, upper, to - from, lower - upper);
  for (let i = 0; i < values.length; i++) {
    const isGap = values[i] === null;
    const [y, under] = isGap ? [0, 0] : [place(values[i]), below ? place(below[i]) : Math.round(bottom)];
    if (y === upper && under === lower) continue;
    const x = Math.round(left + (i / values.length) * width);
    add(x);
    [from, upper, lower] = [x, y, under];
  }
  add(Math.round(left + width));
  return { stroke: null, fill: path, clip: null, band: null, gaps: null, flags: 1 };
}

// Yield the columns of a series {from, to, y} in pixels of the canvas, those of the same height joined; none for gaps.
function* steps(plot, series) {
  const values = plot.data[series];
  const { left, width } = plot.bbox;
  const [top, bottom] = [plot.valToPos(1, "y", true), plot.valToPos(0, "y", true)];
  let current = null;
  for (let i = 0; i < values.length; i++) {
    const y = values[i] === null ? null : bottom + (top - bottom) * values[i];
    const from = Math.round(left + (i / values.length) * width);
    if (current && (y === null || Math.abs(current.exact - y) > SAME)) {
      yield { from: current.from, to: from, y: Math.round(current.exact) };
      current = null;
    }
    if (y !== null) current ??= { from, exact: y };
  }
  if (current) yield { from: current.from, to: Math.round(left + width), y: Math.round(current.exact) };
}

// Add the drawn parts of a dashed line; where they lie depends on x alone, so that steps fit together.
function dashes(path, from, to, top, size, lengths) {
  const period = lengths.reduce((sum, length) => sum + length, 0);
  for (let start = Math.floor(from / period) * period; start < to; start += period) {
    let x = start;
    lengths.forEach((length, i) => {
      const [left, right] = [Math.max(from, x), Math.min(to, x + length)];
      if (i % 2 === 0 && right > left) path.rect(left, top, right - left, size);
      x += length;
    });
  }
}
