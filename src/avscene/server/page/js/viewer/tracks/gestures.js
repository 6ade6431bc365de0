// Turn pointers and the wheel on the tracks into seeking, reading, zooming and moving.

const DRAG = 4; // pixels that a finger moves before it seeks
const ZOOM_PER_PIXEL = 0.002; // of the wheel
const SAME_GESTURE = 250; // milliseconds between two events of one movement of the wheel
const LINE = 16; // pixels of a wheel that counts lines

// Listen on `surface`, which is as wide as the axis. `seek(time)` is called for click and drag, `hover(time)` with null
// when the pointer leaves. Return a function that ends listening beyond the surface.
export function listenToGestures(surface, axis, { seek, hover }) {
  const pointers = new Map(); // of a press: its x, where it began, and whether it moved
  let pinch = null; // times under two fingers
  const place = (event) => event.clientX - surface.getBoundingClientRect().left;

  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const x = place(event);
    const isTouch = event.pointerType === "touch";
    pointers.set(event.pointerId, { x, start: x, y: event.clientY, moves: event.shiftKey, isTouch, isDrag: !isTouch });
    surface.setPointerCapture(event.pointerId);
    if (pointers.size === 2) pinch = [...pointers.values()].map((pointer) => axis.time(pointer.x));
    else if (!isTouch && !event.shiftKey) seek(axis.time(x));
  });

  surface.addEventListener("pointermove", (event) => {
    const pointer = pointers.get(event.pointerId);
    const x = place(event);
    if (!pointer) return event.pointerType === "touch" ? undefined : hover(axis.time(x));
    const moved = x - pointer.x;
    pointer.x = x;
    pointer.isDrag ||= Math.abs(x - pointer.start) > DRAG;
    if (pinch) {
      if (pointers.size === 2) showPinch(axis, [...pointers.values()], pinch);
    } else if (pointer.moves) {
      axis.move((-moved / axis.width) * axis.length);
    } else if (pointer.isDrag) {
      seek(axis.time(x));
    }
  });

  const release = (event) => {
    const pointer = pointers.get(event.pointerId);
    pointers.delete(event.pointerId);
    const isTap = event.type === "pointerup" && pointer?.isTouch && !pointer.isDrag && !pinch;
    if (isTap) seek(axis.time(pointer.x));
    if (!pointers.size) pinch = null;
  };
  surface.addEventListener("pointerup", release);
  surface.addEventListener("pointercancel", release);
  surface.addEventListener("pointerleave", () => hover(null));
  surface.addEventListener("dblclick", () => axis.reset());
  return listenToWheel(surface, axis, place);
}

// Show the times of two fingers where the fingers are.
function showPinch(axis, [a, b], [timeA, timeB]) {
  const distance = b.x - a.x;
  if (Math.abs(distance) < 2 * DRAG || (timeB - timeA) * distance <= 0) return;
  const perPixel = (timeB - timeA) / distance;
  const from = timeA - a.x * perPixel;
  axis.show(from, from + axis.width * perPixel);
}

// A movement of the wheel that began elsewhere scrolls the page on, and so does one that changes nothing.
function listenToWheel(surface, axis, place) {
  let last = { time: -Infinity, isOurs: false };
  const onWheel = (event) => {
    const isNew = event.timeStamp - last.time > SAME_GESTURE;
    const isOurs = isNew ? surface.contains(event.target) : last.isOurs;
    last = { time: event.timeStamp, isOurs };
    if (!isOurs || !surface.contains(event.target)) return;
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1;
    const [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
    const isMove = event.shiftKey || Math.abs(dx) > Math.abs(dy);
    const changed = isMove
      ? axis.move(((dx || dy) / axis.width) * axis.length)
      : axis.zoom(Math.exp(dy * ZOOM_PER_PIXEL * (event.ctrlKey ? 5 : 1)), axis.time(place(event)));
    if (changed || event.ctrlKey || !axis.isWhole) event.preventDefault();
  };
  window.addEventListener("wheel", onWheel, { passive: false });
  return () => window.removeEventListener("wheel", onWheel);
}
