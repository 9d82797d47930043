/** Exam: the verdict first, then figures, window, stacking, pictures; a person's blind comparison; the choice; the card. */
import { html, useEffect, useState } from "../../html.js";
import { get, of, post } from "../../api.js";
import { complain, remembered, say, version } from "../../state.js";
import { ErrorLine, Unshown } from "../../parts/messages.js";
import { Progress } from "../../parts/progress.js";
import { useKeys } from "../../keys.js";
import { Report } from "./report.js";
import { Blind } from "./blind.js";
import { Card } from "./card.js";
import { when } from "../run/run.js";

const TABS = { report: "Exam", blind: "Blind comparison", card: "Card and publish" };

/** @param {{project: string}} props */
export function Screen({ project }) {
  const [known, setKnown] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [refused, setRefused] = useState(/** @type {any} */ (null));
  const tab = remembered("exam-tab", "report");
  const chosen = remembered("exam-chosen", "");
  const load = () => get(of(project, "/exams")).then((found) => { setKnown(found); setFault(null); }, setFault);
  useEffect(() => void load(), [project, version.value]);
  const running = known?.process.state === "running";
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(load, 1500);
    return () => { clearInterval(timer); chosen.value = ""; };
  }, [running, project]);
  /** @param {boolean} quick */
  const start = (quick) => post(of(project, "/exams"), { quick }).then(() => { setRefused(null); load(); }, setRefused);
  const stop = () => post(of(project, "/exams/stop")).then(load, complain);
  /** @param {string} adapter */
  const choose = (adapter) => post(of(project, "/exams/choose"), { adapter }).then(() => { say("Chosen: card and publishing are of it now."); load(); }, complain);
  useKeys("Exam", [
    { key: "q", does: "a quick exam", run: () => start(true) },
    ...Object.keys(TABS).map((name, place) => ({ key: ["e", "b", "c"][place], does: /** @type {Record<string, string>} */ (TABS)[name], run: () => (tab.value = name) })),
  ]);
  if (fault) return html`<${Unshown} title="Exam" fault=${fault} retry=${load} />`;
  if (!known) return null;
  const last = known.process.last;
  const finished = known.exams.filter((/** @type {any} */ each) => each.finished);
  const exam = finished.find((/** @type {any} */ each) => each.id === chosen.value) || finished[0];
  const unfinished = known.exams.some((/** @type {any} */ each) => !each.finished);
  return html`<div class="sheet exam-screen">
    <div class="row exam-head"><h1>Exam</h1>
      <span class="row" role="tablist" aria-label="Parts of the exam">${Object.entries(TABS).map(([name, title]) => html`<button role="tab" aria-selected=${tab.value === name} onClick=${() => (tab.value = name)}>${title}</button>`)}</span>
      <span class="grow"></span>
      ${tab.value === "report" && !running && known.adapters.length ? html`<button onClick=${() => start(true)} title="Few pictures, wide intervals: under a minute on the embedded base">Quick exam</button>
        <button class="primary" onClick=${() => start(false)}>${unfinished ? "Go on with the exam" : "Examine"}</button>` : null}
    </div>
    <${ErrorLine} fault=${refused} />
    ${running ? html`<div class="card exam-running"><div class="grow"><${Progress} label=${last?.stage || "It reads the images and the base"} done=${last?.done} total=${last?.total} eta=${last?.eta} /></div>
      <button onClick=${stop} title="What it has drawn stays; it goes on where it was">Stop</button></div>` : null}
    ${!running && ["failed", "stopped"].includes(known.process.state) && tab.value === "report" ? html`<${ErrorLine} fault=${{ message: known.process.message || "The exam was stopped.", hint: "It goes on where it was." }} />` : null}
    ${tab.value === "blind" ? html`<${Blind} project=${project} adapters=${known.adapters} choose=${choose} />`
    : tab.value === "card" ? html`<${Card} project=${project} adapters=${known.adapters} choose=${choose} />`
    : exam ? html`${finished.length > 1 ? html`<label class="row soft">Exam <select value=${exam.id} onChange=${(/** @type {any} */ event) => (chosen.value = event.currentTarget.value)}>
        ${finished.map((/** @type {any} */ each) => html`<option value=${each.id}>${when(each.made)}: ${each.verdict}</option>`)}</select></label>` : null}
      <${Report} key=${exam.id} project=${project} id=${exam.id} adapters=${known.adapters} picked=${known.chosen} choose=${choose} />`
    : running ? null : html`<div class="empty"><p>${known.adapters.length ? "No exam has been held yet." : "Nothing has been trained yet, so there is nothing to examine."}</p>
        ${known.adapters.length ? html`<p>It draws fresh pictures, lets a tagger judge them, and compares with the base alone.</p><p class="row"><button onClick=${() => start(true)}>Quick exam</button><button class="primary" onClick=${() => start(false)}>Examine</button></p>`
        : html`<a class="button" href=${`#/${encodeURIComponent(project)}/run`}>To the run</a>`}</div>`}
  </div>`;
}
