/** What training would do by the recipe as it stands. */
import { html } from "../../html.js";
import { number } from "../../strings.js";
import { TaskProgress, duration, underWay } from "../../parts/progress.js";
import { ErrorLine } from "../../parts/messages.js";
import { ProbeBox } from "../run/probe.js";

/** @param {number} bytes */
export const size = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`);
/** @type {Record<string, string>} */
const TOLD = { "a run": "by the last run's pace", "a rehearsal": "by steps timed just now", "a guess": "a guess: nothing has run here yet" };

/** @param {{project: string, plan: any, fault: any, busy: boolean, rehearse: () => void}} props */
export function Plan({ project, plan, fault, busy, rehearse }) {
  const task = busy && underWay(project, /^(plan|read)$/);
  const progress = task ? html`<${TaskProgress} task=${task} />` : null;
  if (fault) return html`<section class="plan card" aria-label="Plan"><h2>Plan</h2><${ErrorLine} fault=${fault} />${fault.kind === "NoImagesError" ? null : html`<p><${ProbeBox} /></p>`}</section>`;
  if (!plan) return html`<section class="plan card" aria-label="Plan"><h2>Plan</h2>${progress || html`<p class="soft">Reading the images …</p>`}</section>`;
  const most = Math.max(1, ...plan.buckets.map((/** @type {any} */ each) => each.images));
  const rows = plan.images.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.repeats, 0);
  return html`<section class="plan card" aria-label="Plan" aria-busy=${busy}>
    <h2>Plan</h2>${progress}
    <dl class="facts">
      <div><dt>Steps</dt><dd><b>${plan.steps.toLocaleString("en")}</b> <span class="soft">${plan.epochs ? `${number(plan.epochs, "epoch")} of ${plan.steps_per_epoch}` : `${plan.steps_per_epoch} an epoch`}</span></dd></div>
      <div><dt>Time</dt><dd><b>${duration(plan.seconds)}</b> <span class="soft">${TOLD[plan.time_from]}</span></dd></div>
      ${plan.probe ? html`<div><dt>Before it</dt><dd><b>${duration(plan.probe.seconds)}</b> <span class="soft">for ${plan.probe.variants} rates, ${plan.probe.steps} steps each</span></dd></div>` : null}
      <div><dt>Memory</dt><dd><b>${size(plan.bytes)}</b></dd></div>
      <div><dt>Images</dt><dd><b>${plan.images.length}</b> <span class="soft">seen ${rows} times an epoch</span></dd></div>
    </dl>
    ${plan.warnings.map((/** @type {string} */ text) => html`<p class="warn-line">${text}</p>`)}
    <h3>Buckets</h3>
    <ul class="buckets">${plan.buckets.map((/** @type {any} */ each) => html`<li><span>${each.size[0]} × ${each.size[1]}</span>
      <meter min="0" max=${most} value=${each.images} aria-label="${each.size[0]} by ${each.size[1]}"></meter><span class="number">${each.images}</span></li>`)}</ul>
    <p><${ProbeBox} /></p>
    <p class="row"><button onClick=${rehearse} disabled=${busy} title="Time a few real steps on noise, about ten seconds of them">Time a few steps</button></p>
    <details><summary>Why this preset (${plan.preset.kind} on ${plan.preset.family})</summary>
      <ul>${plan.preset.reasons.map((/** @type {string} */ text) => html`<li>${text}</li>`)}</ul></details>
  </section>`;
}
