/** What the whole page knows: where one is, what changes on disk, what is being done, what went wrong. */
import { signal, computed, effect } from "./html.js";
import { hear, ApiError } from "./api.js";
import { readable } from "./strings.js";

/** The one screen of a server without projects; "" in the studio. */
export const ONLY = document.body.dataset.only || "";
export const SCREENS = ONLY ? [ONLY] : ["projects", "images", "captions", "recipe", "run", "exam", "draw", "library", "help"];
/** Screens that show a project. */
export const OF_PROJECT = ["images", "captions", "recipe", "run", "exam"];

/** A part of the address; as it stands where it is none that a link of the page has. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @returns {{project: string, screen: string}} */
function readRoute() {
  const [, first = "", second = ""] = location.hash.split("/").map(decoded);
  if (SCREENS.includes(second)) return { project: first === "-" ? "" : first, screen: second };
  return { project: "", screen: SCREENS[0] };
}

export const route = signal(readRoute());
addEventListener("hashchange", () => (route.value = readRoute()));

/** @param {string} screen @param {string} [project] */
export function go(screen, project = route.value.project) {
  location.hash = `#/${encodeURIComponent(project || "-")}/${screen}`;
}

/** @param {string} screen @param {string} [project] */
export const link = (screen, project = route.value.project) => `#/${encodeURIComponent(project || "-")}/${screen}`;

/** Another text whenever the project at hand changed on disk, by whomever. */
export const version = signal("");
/** Whether the server does not answer. */
export const away = signal(false);
let returned = 0;
/** The names of all projects; null until they are known. @type {import("@preact/signals").Signal<string[] | null>} */
export const names = signal(null);
/** Tasks by id, as the server tells them. @type {import("@preact/signals").Signal<Record<string, any>>} */
export const tasks = signal({});

const project = computed(() => route.value.project);
effect(() => {
  const name = project.value;
  if (ONLY) return undefined;
  return hear(name, (event) => {
    if (event.event === "away") away.value = true;
    else if (event.event === "here") { if (away.value) returned += 1; away.value = false; }
    else if (event.event === "projects") names.value = event.names;
    else if (event.event === "project" && event.project === name) version.value = `${event.version} ${returned}`;
    else if (event.event === "task") tasks.value = { ...tasks.value, [event.task.id]: event.task };
  });
});

/** Sentences at the foot of the page. @type {import("@preact/signals").Signal<{id: number, text: string, hint: string, bad: boolean, action?: {label: string, run: () => void}}[]>} */
export const toasts = signal([]);
let counted = 0;

/** @param {string} text @param {{hint?: string, bad?: boolean, action?: {label: string, run: () => void}}} [more] */
export function say(text, more = {}) {
  const id = ++counted;
  toasts.value = [...toasts.value.filter((each) => each.text !== text).slice(-3), { id, text, hint: more.hint || "", bad: !!more.bad, action: more.action }];
  setTimeout(() => dismiss(id), more.bad ? 12000 : 5000);
}

/** @param {number} id */
export const dismiss = (id) => (toasts.value = toasts.value.filter((each) => each.id !== id));

/** Show what went wrong. @param {unknown} fault */
export function complain(fault) {
  if (fault instanceof DOMException && fault.name === "AbortError") return;
  const error = fault instanceof ApiError ? fault : null;
  say(readable(error?.where ? `${error.where}: ${error.message}` : String(/** @type {Error} */ (fault)?.message || fault)), { hint: error?.hint || "", bad: true });
}

/** What screens remember while one is elsewhere: scroll, filters, selection. @type {Map<string, any>} */
const memory = new Map();

/**
 * A signal that outlives its screen, by project and name.
 * @template T @param {string} name @param {T} start @returns {import("@preact/signals").Signal<T>}
 */
export function remembered(name, start) {
  const key = `${route.peek().project}/${name}`;
  if (!memory.has(key)) memory.set(key, signal(start));
  return memory.get(key);
}

const stored = (() => {
  try {
    return localStorage.getItem("lorasmith-theme");
  } catch {
    return null;
  }
})();
const dark = matchMedia("(prefers-color-scheme: dark)");
/** "light", "dark", or "" for what the system says. */
export const theme = signal(stored || "");
const applyTheme = () => (document.documentElement.dataset.theme = theme.value || (dark.matches ? "dark" : "light"));
effect(() => void applyTheme());
dark.addEventListener("change", applyTheme);

export function turnTheme() {
  theme.value = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("lorasmith-theme", theme.value);
  } catch {
    // private windows keep nothing
  }
}
