/** An exam's figures and pictures. */
import { html, useEffect, useState } from "../../html.js";
import { address, get, of } from "../../api.js";
import { go, remembered } from "../../state.js";
import { ErrorLine } from "../../parts/messages.js";
import { Bars, Window } from "./figures.js";

/** @type {[string, string][]} */
const KINDS = [["hit", "Called"], ["strength", "By strength"], ["flexibility", "New things"], ["override", "Contradicted"], ["leakage", "Not called"], ["untriggered", "Without the trigger"]];
/** @param {number} value */
const percent = (value) => `${Math.round(value * 100)} %`;

/** What is missing in a wrong picture, else what it shows. @param {any} answer */
const told = (answer) => (answer.good || !answer.said.includes("Not seen: ") ? answer.said : `not seen: ${answer.said.split("Not seen: ")[1]}`);

/** @param {string} path */
const fileName = (path) => path.split(/[\\/]/).pop() || path;

/** Whether its advice names a second round. @param {any} document */
const advisesRound = (document) => (document.advice_parts || []).flat().some((/** @type {any} */ part) => part?.do === "draw a second round");

/** @param {{project: string, id: string, adapters: any[], picked: string | null, choose: (adapter: string) => void}} props */
export function Report({ project, id, adapters, picked, choose }) {
  const [exam, setExam] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const kind = remembered("exam-kind", "hit");
  const path = of(project, `/exams/${encodeURIComponent(id)}`);
  useEffect(() => void get(path).then(setExam, setFault), [path]);
  if (fault) return html`<${ErrorLine} fault=${fault} />`;
  if (!exam) return html`<p class="soft">Reading …</p>`;
  const document = exam.figures;
  const hit = document.figures.hit_rate;
  const tone = hit.low >= 0.8 ? "good" : hit.value >= 0.8 ? "warn" : "bad";
  const kinds = KINDS.filter(([name]) => exam.answers.some((/** @type {any} */ each) => each.kind === name));
  const shown = exam.answers.filter((/** @type {any} */ each) => each.kind === kind.value);
  const strength = document.strength;
  const using = picked || document.chosen;
  /** @param {string} file */
  const picture = (file) => address(`${path}/pictures/${encodeURIComponent(file)}`);
  return html`<div class="column">
    <section class=${`card verdict ${tone}`} aria-label="Verdict"><p class="verdict-text">${document.verdict}</p>
      <p><b>${percent(hit.value)}</b> hits <span class="soft">(${percent(hit.low)} to ${percent(hit.high)}, ${hit.n} pictures)</span>${strength ? html` · strength <b>${strength.recommended}</b> <span class="soft">${strength.from === null ? "usable nowhere that was measured" : strength.from === strength.to ? "usable there only" : `usable from ${strength.from} to ${strength.to}`}</span>` : null}</p>
      <div class="row"><label class="row">Use <select value=${using} onChange=${(/** @type {any} */ event) => choose(event.currentTarget.value)} aria-label="The adapter to use">
        ${adapters.map((each) => html`<option value=${each.path}>${each.name}${each.path === document.chosen ? " (the exam's choice)" : ""}</option>`)}
        ${adapters.some((each) => each.path === using) ? null : html`<option value=${using}>${fileName(using)}</option>`}</select></label>
        ${picked && picked !== document.chosen ? html`<span class="chip warn">your choice; the figures are of ${fileName(document.chosen)}</span>` : null}
        ${document.clear ? null : html`<span class="chip">no clear winner among the snapshots</span>`}
        <span class="grow"></span>${exam.report ? html`<a class="button" href=${address(`${path}/report`)} target="_blank" rel="noopener">Whole report</a>` : null}</div>
      ${document.advice.length ? html`<ul class="advice">${document.advice.map((/** @type {string} */ line) => html`<li>${line}</li>`)}</ul>` : null}
      ${advisesRound(document) ? html`<p class="row"><button onClick=${() => { remembered("images/round", false).value = true; go("images", project); }}>To the second round</button></p>` : null}
    </section>
    <section class="card" aria-label="Pictures"><div class="row"><h2>Pictures</h2><span class="row" role="group" aria-label="Kind of question">
      ${kinds.map(([name, title]) => html`<button aria-pressed=${kind.value === name} onClick=${() => (kind.value = name)}>${title}</button>`)}</span></div>
      ${kinds.length ? html`<div class="answers" tabindex="0" role="group" aria-label="Pictures of this kind">${shown.map((/** @type {any} */ each) => html`<figure key=${each.picture} class=${each.good ? "answer" : "answer wrong"}>
        <div class="answer-pair"><img src=${picture(each.picture)} alt=${each.prompt} loading="lazy" />${each.base ? html`<img class="beside" src=${picture(each.base)} alt="the base alone" loading="lazy" title="the base alone" />` : null}</div>
        <figcaption title=${`${each.said}\n${each.prompt}`}><span class=${each.good ? "mark good-text" : "mark bad-text"}>${each.good ? "✓" : "✗"}</span> ${kind.value === "strength" ? `strength ${each.said}` : told(each)}</figcaption></figure>`)}</div>`
      : html`<div class="answers">${exam.sheets.map((/** @type {string} */ file) => html`<img class="sheet-picture" src=${picture(file)} alt=${file} loading="lazy" />`)}</div>`}
    </section>
    <div class="exam-plots">
      <section class="card" aria-label="Figures"><h2>Figures</h2><${Bars} figures=${document.figures} words=${exam.words} /></section>
      <div class="column">
        ${strength?.points?.length > 1 ? html`<section class="card" aria-label="Strength"><h2>Strength</h2><${Window} strength=${strength} /></section>` : null}
        ${document.stacking?.length ? html`<section class="card" aria-label="Stacking"><h2>Together with others</h2><table><thead><tr><th>with</th><th class="number">both show</th><th class="number">of what each does alone</th><th class="number">called apart</th></tr></thead>
          <tbody>${document.stacking.map((/** @type {any} */ each) => html`<tr><td>${each.with}</td><td class="number">${each.n ? percent(each.joint) : "–"}</td><td class="number">${each.n ? html`<span class=${each.ratio >= 0.8 ? "good-text" : each.ratio >= 0.5 ? "warn-text" : "bad-text"}>${percent(each.ratio)}</span>` : "–"}</td><td class="number" title=${each.apart?.call || ""}>${each.n && each.apart ? percent(each.apart.joint.value) : "–"}</td></tr>`)}</tbody></table></section>` : null}
        <section class="card" aria-label="What was judged"><h2>What was judged</h2><p>${(document.judged || []).map((/** @type {string} */ each) => html`<span class="chip good">${each}</span> `)}</p>
          ${document.not_judged?.length ? html`<p class="soft">Nobody could judge: ${document.not_judged.join(", ")}</p>` : null}<p class="soft">Judge: ${document.judge?.name}</p></section>
      </div>
    </div>
    <details class="card"><summary>Grid of snapshots by strengths</summary><img class="sheet-picture" src=${picture("grid.png")} alt="Snapshots by strengths" loading="lazy" /></details>
  </div>`;
}
