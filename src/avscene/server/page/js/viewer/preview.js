// Wait for the peaks and thumbnails that the server computes of a recording.

const FIRST_PAUSE = 500; // milliseconds; each pause is longer than the one before
const LONGEST_PAUSE = 8000;
const GROWTH = 1.6;

// Return the preview, or null if there is none; rejects with AbortError when `signal` is aborted.
export async function fetchPreview(url, signal) {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * GROWTH)) {
    const response = await fetch(url, { signal });
    if (response.status === 200) return response.json();
    if (response.status !== 202) return null;
    await wait(pause, signal);
  }
}

function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
