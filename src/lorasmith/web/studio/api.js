/** The server's API. Every failure is an ApiError with the server's own words. */

const ROOT = "/api/v1";
/** The kind of error of a server that is not there. */
export const AWAY = "Away";

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
    throw new ApiError({ kind: AWAY, message: "The server does not answer.", hint: "Start it again; nothing is lost." });
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

/**
 * @typedef {{run: <T>(work: () => Promise<T>) => Promise<T>, busy: () => boolean, turn: () => number}} Writes
 * `turn` is another number once a write was asked for or has ended: what was read meanwhile may lack it.
 */
/** @type {Map<string, Writes>} */
const writes = new Map();

/**
 * The writes to one project, from whatever screen: they are made one after the other, in the order in which they were asked
 * for, so that an undo never overtakes what it undoes. @param {string} project @returns {Writes}
 */
export function writesOf(project) {
  const known = writes.get(project);
  if (known) return known;
  /** @type {Promise<any>} */
  let last = Promise.resolve();
  let waiting = 0, turn = 0;
  /** @type {Writes["run"]} */
  const run = (work) => {
    waiting += 1;
    turn += 1;
    const mine = last.then(work).finally(() => { waiting -= 1; turn += 1; });
    last = mine.catch(() => undefined);
    return mine;
  };
  const made = { run, busy: () => waiting > 0, turn: () => turn };
  writes.set(project, made);
  return made;
}

/**
 * What a function of the server's says, without what is older than a write of this page: such an answer is asked for anew,
 * and while writes wait it is let go, for whoever writes reads afterwards. @template T
 * @param {Writes} about @param {() => Promise<T>} ask @param {(found: T) => void} take
 */
export function reader(about, ask, take) {
  let newest = 0;
  const read = async () => {
    const mine = ++newest, asked = about.turn();
    const found = await ask();
    if (mine !== newest || about.busy()) return;
    if (about.turn() === asked) take(found);
    else await read();
  };
  return read;
}

/** Send a file as it is, from the disk to the disk. @param {string} path @param {Blob} file @param {AbortSignal} [signal] */
export const sendFile = async (path, file, signal) =>
  read(await reach(path, { method: "PUT", body: file, headers: { "content-type": "application/octet-stream" }, signal }));

/** What the server reads in a file. @param {string} path @param {Blob} file */
export const readFile = async (path, file) => read(await reach(path, { method: "POST", body: file }));

const AGAIN = 2000;

/**
 * Hear what changes, until the function that is given back is called; a server that went away is waited for.
 * @param {string} project "" for none
 * @param {(event: any) => void} tell gets {event: "projects" | "project" | "task", ...}, "away" and "here"
 */
export function hear(project, tell) {
  /** @type {EventSource} */
  let source;
  let timer = 0;
  const open = () => {
    source = new EventSource(`${ROOT}/events?project=${part(project)}`);
    for (const name of ["projects", "project", "task"]) {
      source.addEventListener(name, (event) => tell(JSON.parse(/** @type {MessageEvent} */ (event).data)));
    }
    source.onopen = () => tell({ event: "here" });
    source.onerror = () => {
      tell({ event: "away" });
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN);
    };
  };
  open();
  return () => { clearTimeout(timer); source.close(); };
}
