/** One run: how far it is, its curves, its samples, its words. */
import { html, useEffect, useState } from "../../html.js";
import { address, get, of } from "../../api.js";
import { go, remembered } from "../../state.js";
import { ErrorLine } from "../../parts/messages.js";
import { Plot } from "../../parts/plot.js";
import { duration } from "../../parts/progress.js";
import { STATES, TONES } from "./run.js";
import { Filmstrip } from "./filmstrip.js";
import { show } from "../recipe/values.js";

/** @param {any[]} steps @param {string} field @returns {import("../../parts/plot.js").Line[]} */
function series(steps, field) {
  const names = [...new Set(steps.flatMap((step) => Object.keys(step[field] || {})))];
  return names.map((name) => ({ name, points: steps.filter((step) => step[field]?.[name] !== undefined).map((step) => [step.step, step[field][name]]) }));
}

/** @param {{project: string, head: any, resume: () => void, stop: () => void, changed: () => void}} props */
export function Detail({ project, head, resume, stop, changed }) {
  const [run, setRun] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [variant, setVariant] = useState("");
  const path = of(project, `/runs/${encodeURIComponent(head.name)}`);
  useEffect(() => {
    let source = /** @type {EventSource | null} */ (null);
    let gone = false;
    const begin = async () => {
      const found = await get(path);
      if (gone) return;
      setRun(found);
      const names = Object.keys(found.variants);
      if (!names.length) return later();
      const name = names.includes(variant) ? variant : names[0] || "";
      if (name !== variant) setVariant(name);
      source = new EventSource(address(`${path}/events?${new URLSearchParams({ offset: String(found.variants[name]?.offset || 0), variant: name })}`));
      source.onmessage = null;
      for (const kind of ["step", "validation", "sample", "snapshot", "done", "note"]) {
        source.addEventListener(kind, (event) => take(name, JSON.parse(/** @type {MessageEvent} */ (event).data)));
      }
      source.addEventListener("state", (event) => changed());
      source.addEventListener("end", () => { source?.close(); get(path).then((again) => !gone && setRun(again), () => {}); changed(); });
      // A stream that broke is begun anew from what the run has told by then, also by another server.
      source.onerror = () => { source?.close(); later(); };
    };
    const later = () => { if (!gone) setTimeout(() => { if (!gone) begin().catch(later); }, 1500); };
    begin().catch(setFault);
    return () => { gone = true; source?.close(); };
  }, [path, variant, head.state === "waiting", head.is_sweep]);
  /** @param {string} name @param {any} event */
  const take = (name, event) => setRun((/** @type {any} */ before) => {
    const old = before.variants[name];
    const lists = { step: "steps", validation: "validations", sample: "samples", snapshot: "snapshots", note: "notes" };
    const list = /** @type {Record<string, string>} */ (lists)[event.event];
    if (event.path) event = { ...event, path: event.path.split(/[\\/]/).pop() };
    const next = { ...old, offset: event.offset };
    if (list) next[list] = [...old[list], event];
    if (event.event === "step") next.last = event;
    if (event.event === "done") next.done = event;
    return { ...before, variants: { ...before.variants, [name]: next } };
  });
  if (fault) return html`<${ErrorLine} fault=${fault} />`;
  if (!run) return html`<p class="soft">Reading …</p>`;
  const told = run.variants[variant] || { steps: [], samples: [], validations: [], snapshots: [], notes: [], last: null, done: null };
  const last = told.last;
  const going = head.state === "running" || head.state === "stopping";
  return html`<section class="run-detail column" aria-label=${`Run ${head.name}`}>
    <div class="card">
      <div class="row"><span class=${`chip ${TONES[head.state]}`}>${STATES[head.state] || head.state}</span><h2 class="run-title">${head.name}</h2><span class="grow"></span>
        ${["waiting", "running"].includes(head.state) ? html`<button onClick=${stop} disabled=${head.job === null} title=${head.job === null ? "It was started elsewhere: stop it there" : "It saves its state, and can go on"}>Stop</button>` : null}
        ${["failed", "cancelled", "stopped"].includes(head.state) ? html`<button class="primary" onClick=${resume}>Go on</button>` : null}
        ${head.state === "done" ? html`<button class="primary" onClick=${() => go("exam")}>Examine it →</button>` : null}</div>
      ${head.message ? html`<${ErrorLine} fault=${{ message: head.message }} />` : null}
      ${last ? html`<progress class="wide-bar" value=${last.step} max=${last.steps} aria-label="Steps"></progress>
      <dl class="tiles">
        <div><dt>Step</dt><dd>${last.step.toLocaleString("en")}<span class="soft"> of ${last.steps.toLocaleString("en")}</span></dd></div>
        ${going && last.eta !== null ? html`<div><dt>Left</dt><dd>${duration(last.eta)}</dd></div>` : null}
        ${told.done ? html`<div><dt>Took</dt><dd>${duration(told.done.seconds)}</dd></div>` : null}
        <div><dt>Loss</dt><dd>${last.loss.toFixed(4)}</dd></div>
        ${last.speed ? html`<div><dt>Speed</dt><dd>${last.speed.toFixed(last.speed < 10 ? 1 : 0)}<span class="soft"> images/s</span></dd></div>` : null}
        ${last.memory ? html`<div><dt>Memory</dt><dd>${(last.memory / 1e9).toFixed(1)}<span class="soft"> GB</span></dd></div>` : null}
        <div><dt>Snapshots</dt><dd>${told.snapshots.length}</dd></div>
      </dl>` : html`<p class="soft">${head.state === "waiting" ? "It waits for its turn." : going ? "It reads the images and the base; the first step follows." : "It has not come to its first step."}</p>`}
      ${Object.keys(run.variants).length > 1 ? html`<p class="row" role="group" aria-label="Variants">${Object.keys(run.variants).map((name) => html`<button aria-pressed=${name === variant} onClick=${() => setVariant(name)}>${name}</button>`)}</p>` : null}
    </div>
    ${told.samples.length ? html`<${Filmstrip} samples=${told.samples} source=${(/** @type {string} */ file) => address(`${path}/samples/${encodeURIComponent(file)}?variant=${encodeURIComponent(variant)}`)} at=${remembered(`film-${head.name}`, -1)} />` : null}
    ${told.steps.length > 1 ? html`<div class="plots">
      <div class="card"><${Plot} label="Loss by band of timesteps" lines=${series(told.steps, "bands")} /></div>
      <div class="card"><${Plot} label="Learning rates" lines=${series(told.steps, "rates")} /></div>
      ${told.validations.length > 1 ? html`<div class="card"><${Plot} label="Loss on held-out images" lines=${[
        { name: "adapter", points: told.validations.map((/** @type {any} */ each) => [each.step, each.loss]) }, { name: "base", points: told.validations.map((/** @type {any} */ each) => [each.step, each.base]) }]} /></div>` : null}
    </div>` : null}
    ${told.notes.length || run.log.length ? html`<details class="card"><summary>What it said (${told.notes.length + run.log.length})</summary>
      ${told.notes.map((/** @type {any} */ each) => html`<p class=${each.level === "warning" ? "warn-line" : "soft"}>${each.message}</p>`)}
      ${run.log.length ? html`<pre class="log">${run.log.join("\n")}</pre>` : null}</details>` : null}
    ${Object.keys(run.recipe).length ? html`<details class="card"><summary>Its recipe</summary><table class="recipe-table"><tbody>${Object.entries(run.recipe).map(([key, value]) => html`<tr><td><code>${key}</code></td><td>${show(value)}</td></tr>`)}</tbody></table></details>` : null}
  </section>`;
}
