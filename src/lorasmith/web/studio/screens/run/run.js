/** Run: start, stop, go on; what a run tells while it trains, and afterwards. */
import { html, useEffect, useState } from "../../html.js";
import { get, of, post } from "../../api.js";
import { complain, go, remembered, version } from "../../state.js";
import { ErrorLine, Unshown } from "../../parts/messages.js";
import { useKeys } from "../../keys.js";
import { Detail } from "./detail.js";
import { ProbeBox } from "./probe.js";

/** @type {Record<string, string>} */
export const TONES = { done: "good", failed: "bad", running: "accent", stopping: "warn", cancelled: "warn", stopped: "warn", waiting: "" };
/** @type {Record<string, string>} */
export const STATES = { cancelled: "stopped", stopped: "interrupted" };

/** @param {{project: string}} props */
export function Screen({ project }) {
  const [runs, setRuns] = useState(/** @type {any[] | null} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [refused, setRefused] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const chosen = remembered("run-chosen", "");
  const probe = remembered("probe", false);
  const load = () => get(of(project, "/runs")).then((found) => { setRuns(found.runs); setFault(null); return found.runs; }, setFault);
  useEffect(() => void load(), [project, version.value]);
  const active = (runs || []).some((run) => ["waiting", "running", "stopping"].includes(run.state));
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(load, 3000);
    return () => clearInterval(timer);
  }, [active, project]);
  const start = () => {
    setBusy(true);
    post(of(project, "/runs"), { probe: probe.value }).then((head) => { chosen.value = head.name; setRefused(null); return load(); }, setRefused).finally(() => setBusy(false));
  };
  /** @param {string} name */
  const resume = (name) => post(of(project, "/runs"), { resume: name }).then(load, complain);
  /** @param {string} name */
  const stop = (name) => post(of(project, `/runs/${encodeURIComponent(name)}/stop`)).then(load, complain);
  useKeys("Run", [
    { key: "s", does: "start a run", run: start },
    { key: "x", does: "to the exam", run: () => go("exam") },
  ]);
  if (fault) return html`<${Unshown} title="Run" fault=${fault} retry=${load} />`;
  if (!runs) return null;
  const run = runs.find((each) => each.name === chosen.value) || runs[0];
  return html`<div class="sheet run-screen">
    <div class="row run-head"><h1>Run</h1><span class="grow"></span>
      <${ProbeBox} />
      <button onClick=${() => go("recipe")}>Recipe</button>
      <button class="primary" onClick=${start} disabled=${busy}>${active ? "Queue another run" : "Start a run"}</button></div>
    <${ErrorLine} fault=${refused} />
    ${runs.length === 0 ? html`<div class="empty"><p>Nothing has been trained yet.</p><p>The recipe says how; a run goes on when this page is closed, and when the server ends.</p>
      <button class="primary" onClick=${start} disabled=${busy}>Start a run</button></div>` : html`<div class="run-sides">
      <ul class="run-list" aria-label="Runs">${runs.map((each) => html`<li key=${each.name}><button class=${each === run ? "run-item here" : "run-item"} aria-current=${each === run ? "true" : undefined} onClick=${() => (chosen.value = each.name)}>
        <span class="row"><span class=${`chip ${TONES[each.state]}`}>${STATES[each.state] || each.state}</span>${each.is_sweep ? html`<span class="chip">sweep</span>` : null}${each.probe ? html`<span class="chip" title="It finds its learning rates first">probe</span>` : null}
          ${each.place !== null ? html`<span class="soft">${each.place + 1}. in the line</span>` : null}</span>
        <span class="run-name">${each.name}</span>
        <span class="soft">${when(each.created)}${each.settings.length ? ` · ${each.settings.join(", ")}` : ""}</span>
        ${each.steps ? html`<progress value=${each.step} max=${each.steps} aria-label=${`${each.step} of ${each.steps} steps`}></progress>` : null}
      </button></li>`)}</ul>
      <${Detail} key=${run.name} project=${project} head=${run} resume=${() => resume(run.name)} stop=${() => stop(run.name)} changed=${load} />
    </div>`}
  </div>`;
}

/** @param {number} seconds since 1970 */
export const when = (seconds) => new Date(seconds * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
