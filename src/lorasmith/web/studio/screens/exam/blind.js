/** A blind comparison by a person: two pictures of one prompt and seed, and nobody says whose they are. */
import { html, useEffect, useState } from "../../html.js";
import { address, get, of, post } from "../../api.js";
import { complain, remembered, version } from "../../state.js";
import { ErrorLine } from "../../parts/messages.js";
import { Progress } from "../../parts/progress.js";
import { useKeys } from "../../keys.js";

/** @param {number} value */
const percent = (value) => `${Math.round(value * 100)} %`;

/** @param {{project: string, adapters: any[], choose: (adapter: string) => void}} props */
export function Blind({ project, adapters, choose }) {
  const [known, setKnown] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const one = remembered("blind-one", "");
  const other = remembered("blind-other", "");
  const pairs = remembered("blind-pairs", 12);
  const load = () => get(of(project, "/comparisons")).then(setKnown, setFault);
  useEffect(() => void load(), [project, version.value]);
  const drawing = known?.process.state === "running";
  useEffect(() => {
    if (!drawing) return undefined;
    const timer = setInterval(load, 1500);
    return () => clearInterval(timer);
  }, [drawing, project]);
  const first = one.value || adapters[0]?.path || "";
  const second = other.value || adapters.find((each) => each.path !== first)?.path || "";
  const start = () => post(of(project, "/comparisons"), { adapters: [first, second], pairs: pairs.value }).then(() => { setFault(null); load(); }, setFault);
  const current = known?.comparisons[0];
  const next = current?.pairs.find((/** @type {any} */ pair) => pair.answer === null && pair.number < current.drawn);
  /** @param {string} side */
  const answer = (side) => next && post(of(project, `/comparisons/${current.id}/answers`), { pair: next.number, side }).then((told) => setKnown((/** @type {any} */ before) => ({ ...before, comparisons: [told, ...before.comparisons.slice(1)] })), complain);
  useKeys("Blind comparison", [
    { key: "ArrowLeft", does: "the left one is better", run: () => answer("left") },
    { key: "ArrowRight", does: "the right one is better", run: () => answer("right") },
    { key: "ArrowDown", does: "no difference", run: () => answer("same") },
  ]);
  if (!known) return html`<${ErrorLine} fault=${fault} />`;
  /** @param {string} side */
  const picture = (side) => address(of(project, `/comparisons/${current.id}/pictures/${next.number}/${side}`));
  /** @param {import("@preact/signals").Signal<string>} place @param {string} value @param {string} label */
  const pick = (place, value, label) => html`<label class="field"><span>${label}</span><select value=${value} onChange=${(/** @type {any} */ event) => (place.value = event.currentTarget.value)}>
    ${adapters.map((each) => html`<option value=${each.path}>${each.name} · ${each.run}</option>`)}</select></label>`;
  return html`<div class="column">
    <${ErrorLine} fault=${fault} />
    ${drawing ? html`<div class="card"><${Progress} label=${known.process.last?.stage || "It reads the base"} done=${known.process.last?.done} total=${known.process.last?.total} eta=${known.process.last?.eta} /></div>` : null}
    ${!drawing && known.process.state === "failed" ? html`<${ErrorLine} fault=${{ message: known.process.message }} />` : null}
    ${next ? html`<section class="card blind" aria-label="Which is better?"><div class="row"><h2>Which is better?</h2><span class="grow"></span><span class="soft">${current.answered + 1} of ${current.pairs.length}</span></div>
      <p class="soft blind-prompt">${next.prompt}</p>
      <div class="blind-pair">
        <button class="blind-side" onClick=${() => answer("left")}><img src=${picture("left")} alt="the left picture" /><span>Left <kbd>←</kbd></span></button>
        <button class="blind-side" onClick=${() => answer("right")}><img src=${picture("right")} alt="the right picture" /><span>Right <kbd>→</kbd></span></button></div>
      <p class="row blind-same"><button onClick=${() => answer("same")}>No difference <kbd>↓</kbd></button></p></section>` : null}
    ${current && !next && current.answered < current.pairs.length ? html`<p class="soft">${drawing ? "The next pair is being drawn." : "The drawing was stopped: compare the same two again, and it goes on."}</p>` : null}
    ${(known.comparisons || []).filter((/** @type {any} */ each) => each.result).map((/** @type {any} */ each) => html`<${Result} each=${each} choose=${choose} />`)}
    ${adapters.length < 2 ? html`<div class="empty"><p>Two adapters are needed: snapshots of one run, or of several.</p></div>` : html`<section class="card" aria-label="New comparison"><h2>Compare two</h2>
      <div class="row blind-form">${pick(one, first, "One")}${pick(other, second, "Another")}
        <label class="field"><span>Pairs</span><input type="number" min="1" max="200" value=${pairs.value} onChange=${(/** @type {any} */ event) => (pairs.value = Number(event.currentTarget.value) || 12)} /></label>
        <button class="primary" onClick=${start} disabled=${drawing}>Draw the pairs</button></div>
      <p class="soft">Each pair has one prompt and one seed. With 12 pairs only a clear difference shows; 40 tell 70 % from 50 %.</p></section>`}
  </div>`;
}

/** @param {{each: any, choose: (adapter: string) => void}} props */
function Result({ each, choose }) {
  const { preferred, same, share_of_second: share, clear } = each.result;
  const better = preferred[1] > preferred[0] ? 1 : 0;
  return html`<section class="card" aria-label="Result"><h2>${clear ? `${each.adapters[better]} is better` : "No clear difference"}</h2>
    <p>${each.adapters[0]}: <b>${preferred[0]}</b> · ${each.adapters[1]}: <b>${preferred[1]}</b> · no difference: ${same}
      <span class="soft"> (the second one in ${percent(share.value)} of decided pairs, ${percent(share.low)} to ${percent(share.high)})</span></p>
    ${preferred[0] === preferred[1] ? null : html`<button onClick=${() => choose(each.paths[better])}>Choose ${each.adapters[better]}</button>`}</section>`;
}
