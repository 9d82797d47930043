/** The server's API. Every failure is an ApiError with the server's own words. */

const ROOT = "/api/v1";

export class ApiError extends Error {
  /** @param {{message: string, kind?: string, where?: string | null, hint?: string | null, status?: number}} error */
  constructor(error) {
    super(error.message);
    this.where = error.where || "";
    this.hint = error.hint || "";
    this.kind = error.kind || "";
    this.status = error.status || 0;
  }
}

/** @param {string} name */
export const part = (name) => encodeURIComponent(name);

/** The address of something of a project. @param {string} project @param {string} rest */
export const of = (project, rest = "") => `/projects/${part(project)}${rest}`;

/** The address as an <img> needs it. @param {string} path */
export const address = (path) => ROOT + path;

/**
 * @param {string} method @param {string} path @param {unknown} [body] @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
async function call(method, path, body, signal) {
  /** @type {RequestInit} */
  const request = { method, signal };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers = { "content-type": "application/json" };
  }
  return read(await reach(path, request));
}

/** @param {string} path @param {RequestInit} request */
async function reach(path, request) {
  try {
    return await fetch(ROOT + path, request);
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === "AbortError") throw fault;
    throw new ApiError({ message: "The server does not answer.", hint: "Start it again; nothing is lost." });
  }
}

/** @param {Response} answer */
async function read(answer) {
  const text = await answer.text();
  let document = null;
  try {
    document = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError({ message: `The server's answer cannot be read (${answer.status}).`, status: answer.status });
  }
  if (!answer.ok) throw new ApiError(document?.error || { message: `The server said ${answer.status}.`, status: answer.status });
  return document;
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = (path, signal) => call("GET", path, undefined, signal);
/** @param {string} path @param {unknown} [body] @param {AbortSignal} [signal] */
export const post = (path, body = {}, signal) => call("POST", path, body, signal);
/** @param {string} path @param {unknown} body */
export const put = (path, body) => call("PUT", path, body);
/** @param {string} path @param {unknown} body */
export const patch = (path, body) => call("PATCH", path, body);
/** @param {string} path */
export const del = (path) => call("DELETE", path);

/** Requests that are made one after the other, in the order in which they were asked for: an undo never overtakes what it undoes. */
export function inOrder() {
  /** @type {Promise<any>} */
  let last = Promise.resolve();
  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  return (work) => {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

/** Send a file as it is, from the disk to the disk. @param {string} path @param {Blob} file @param {AbortSignal} [signal] */
export const sendFile = async (path, file, signal) =>
  read(await reach(path, { method: "PUT", body: file, headers: { "content-type": "application/octet-stream" }, signal }));

/**
 * Hear what changes, until the function that is given back is called.
 * @param {string} project "" for none
 * @param {(event: any) => void} tell gets {event: "projects" | "project" | "task", ...}
 */
export function hear(project, tell) {
  const source = new EventSource(`${ROOT}/events?project=${part(project)}`);
  for (const name of ["projects", "project", "task"]) {
    source.addEventListener(name, (event) => tell(JSON.parse(/** @type {MessageEvent} */ (event).data)));
  }
  return () => source.close();
}
