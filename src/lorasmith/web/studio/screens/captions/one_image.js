/** One image beside its tags: their scores, what became of each and why, keep or drop by a click. */
import { html, useState } from "../../html.js";
import { address, of } from "../../api.js";
import { TagInput } from "../../parts/tag_input.js";
import { keyOf, tagsOf } from "./model.js";

const FATES = /** @type {Record<string, string>} */ ({ kept: "", dropped: "dropped", changed: "changed", added: "added", moved: "moved" });

/** @param {{model: any, each: any, score: number | undefined, stands: boolean}} props */
function TagRow({ model, each, score, stands }) {
  const final = each.became || each.tag;
  const story = each.steps.map((/** @type {any} */ step) => `${step.rule} (${step.id}): ${step.fate}, ${step.why}`).join("\n") || "No rule touched it.";
  return html`<li class=${`tag-row ${stands ? "stands" : "gone"}`}>
    <button aria-pressed=${stands} title=${`${stands ? "Click to drop it" : "Click to keep it"}\n${story}`}
      onClick=${() => model.correct([model.here.value], stands ? [] : [final], stands ? [final] : [])}>
      <span class="tag-name">${each.became ? html`<s>${each.tag}</s> ${each.became}` : each.tag}</span>
      <span class="score" aria-label=${score === undefined ? undefined : `score ${score.toFixed(2)}`}>${score === undefined ? "" : html`<i style=${`width:${Math.round(score * 100)}%`}></i><b>${score.toFixed(2)}</b>`}</span>
      <span class="soft why">${FATES[each.fate] || ""}${each.rule ? ` ${each.rule}: ${each.why}` : ""}</span></button></li>`;
}

/** @param {{model: any}} props */
export function OneImage({ model }) {
  const name = model.here.value;
  const [more, setMore] = useState(false);
  if (!name) return null;
  const found = model.explained.value?.image === name ? model.explained.value : null;
  const caption = model.listed.value.captions[name];
  const keys = new Set(tagsOf(caption).map(keyOf));
  const scores = new Map(Object.entries(found?.scores || {}).map(([tag, score]) => [keyOf(tag), Number(score)]));
  const told = new Set((found?.tags || []).map((/** @type {any} */ each) => keyOf(each.became || each.tag)));
  const tags = [...(found?.tags || []), ...tagsOf(caption).filter((tag) => !told.has(keyOf(tag))).map((tag) => ({ tag, fate: "kept", steps: [] }))];
  const stands = (/** @type {any} */ each) => keys.has(keyOf(each.became || each.tag));
  const gone = tags.filter((/** @type {any} */ each) => !stands(each)).sort((/** @type {any} */ a, /** @type {any} */ b) => (scores.get(keyOf(b.tag)) || 0) - (scores.get(keyOf(a.tag)) || 0));
  return html`<section class="one-image" aria-label=${name}>
    <img class="one-picture" src=${address(of(model.project, `/images/${model.listed.value.ids[name]}/thumbnail?size=512`))} alt=${name} />
    <p class="soft">${name}${found ? `, tags from ${found.source}` : ""}</p>
    <p class="whole-caption">${caption || "An empty caption."}</p>
    <${TagInput} label="Add a tag" complete=${model.complete} take=${(/** @type {string} */ tag) => model.correct([name], [tag], [])} />
    <ul class="tag-rows">${tags.filter(stands).map((/** @type {any} */ each) => html`<${TagRow} model=${model} each=${each} score=${scores.get(keyOf(each.tag))} stands=${true} />`)}
      ${gone.slice(0, more ? 400 : 8).map((/** @type {any} */ each) => html`<${TagRow} model=${model} each=${each} score=${scores.get(keyOf(each.tag))} stands=${false} />`)}</ul>
    ${gone.length > 8 ? html`<button onClick=${() => setMore(!more)}>${more ? "Fewer" : `${gone.length - 8} more that are left out`}</button>` : null}
  </section>`;
}
