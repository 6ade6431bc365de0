// Follow a job until it is finished: by server-sent events, or by polling where these do not arrive.

import { address, ask, untilBack } from "./api.js";

const POLL = 1500; // ms
const PATIENCE = 6000; // ms without a connection before polling takes over

export const isFinished = (job) => job.state === "done" || job.state === "failed";

/**
 * Call `onJob(job)` for each change and `onRemoved()` if the job is deleted; return `{ close() }`.
 *
 * The connection is given up while the page is hidden: browsers open few to one server.
 */
export function watchJob(id, { onJob, onRemoved }) {
  const path = `v1/jobs/${id}`;
  let [source, timer, closed, version] = [null, 0, false, -1];

  const close = () => {
    closed = true;
    stop();
    document.removeEventListener("visibilitychange", onVisibility);
  };
  const stop = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const take = (job) => {
    if (closed || job.version <= version) return;
    version = job.version;
    if (isFinished(job)) close();
    onJob(job);
  };
  const remove = () => {
    if (closed) return;
    close();
    onRemoved();
  };
  const poll = async () => {
    const { value, error } = await ask("GET", path);
    if (closed) return;
    if (error?.status === 404) return remove();
    if (error?.status === 401) return close();
    if (error) await untilBack();
    else take(value);
    if (!closed) timer = setTimeout(poll, POLL);
  };
  const listen = () => {
    source = new EventSource(address(`${path}/events`)); // it resumes by itself, with Last-Event-ID
    const startPolling = () => {
      stop();
      poll();
    };
    timer = setTimeout(startPolling, PATIENCE);
    source.addEventListener("open", () => clearTimeout(timer));
    source.addEventListener("job", (event) => take(JSON.parse(event.data)));
    source.addEventListener("removed", remove);
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) startPolling();
      else ask("GET", "healthz"); // notices that the server is gone; the source connects again by itself
    });
  };
  const onVisibility = () => {
    stop();
    if (!document.hidden) listen();
  };

  document.addEventListener("visibilitychange", onVisibility);
  if (!document.hidden) listen();
  return { close };
}
