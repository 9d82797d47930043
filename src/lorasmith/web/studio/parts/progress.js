/** How far work has come. */
import { html } from "../html.js";
import { tasks } from "../state.js";
import { WORDS } from "../strings.js";

/** Seconds as a person says them. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {{label: string, done?: number, total?: number, eta?: number | null}} props */
export function Progress({ label, done, total, eta }) {
  const known = total !== undefined && total > 0 && done !== undefined;
  return html`<div class="progress" role="status">
    <span>${label}${known ? ` ${done} of ${total}` : ""}${eta ? `, ${duration(eta)} left` : ""}</span>
    <progress value=${known ? done : undefined} max=${known ? total : undefined} aria-label=${label}></progress>
  </div>`;
}

/** A task of a project that is under way, of one of some kinds. @param {string} project @param {RegExp} kinds */
export const underWay = (project, kinds) => Object.values(tasks.value).find((each) => each.project === project && kinds.test(each.kind) && each.state === "running");

/** What stands where images will, until they are read; how far that is, when it takes a while. @param {{project: string}} props */
export function Reading({ project }) {
  const task = underWay(project, /^read$/);
  return html`<div class="empty">${task ? html`<div class="reading"><${TaskProgress} task=${task} /></div>` : html`<p>${WORDS.loading} …</p>`}</div>`;
}

/** A task of the server's. @param {{task: any}} props */
export function TaskProgress({ task }) {
  const last = task.last || {};
  return html`<${Progress} label=${last.stage || task.kind} done=${last.done} total=${last.total} eta=${last.eta} />`;
}
