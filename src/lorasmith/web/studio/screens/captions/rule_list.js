/** The rules in their order: switched, moved, and the settings that they go by; each change tried first. */
import { html, useState } from "../../html.js";
import { Trial } from "./trial.js";

const LISTS = ["undesired", "absorb", "keep", "add", "style", "background", "unify", "quality"];
const NUMBERS = ["faithful", "fused", "threshold", "character_threshold", "doubt", "consistent", "rare_images"];
/** @type {Record<string, string[]>} */
const CHOICES = { source: ["caption", "tagger", "both"], describe: ["everything", "nothing"], sentence: ["before", "after", "instead", "none"], arrange: ["kept", "score", "groups", "name"] };

/** @param {{model: any}} props */
export function RuleList({ model }) {
  const known = model.rules.value;
  const [draft, setDraft] = useState(/** @type {Record<string, any>} */ ({}));
  if (!known) return html`<p class="soft">Reading …</p>`;
  const names = known.rules.map((/** @type {any} */ rule) => rule.name);
  const order = draft.order || names;
  const off = new Set(draft.off || known.rules.filter((/** @type {any} */ rule) => !rule.on).map((/** @type {any} */ rule) => rule.name));
  const byName = Object.fromEntries(known.rules.map((/** @type {any} */ rule) => [rule.name, rule]));
  const changed = Object.keys(draft).length > 0;
  const flip = (/** @type {string} */ name) => { const next = new Set(off); if (!next.delete(name)) next.add(name); setDraft({ ...draft, off: next.size ? [...next] : null }); };
  const shift = (/** @type {number} */ place, /** @type {number} */ step) => {
    const next = [...order];
    [next[place], next[place + step]] = [next[place + step], next[place]];
    setDraft({ ...draft, order: next });
  };
  const value = (/** @type {any} */ each) => (each.key in draft ? draft[each.key] : each.value);
  const set = (/** @type {string} */ key, /** @type {any} */ next) => setDraft({ ...draft, [key]: next });
  const pick = (/** @type {string[]} */ keys) => keys.map((key) => known.settings.find((/** @type {any} */ each) => each.key === key)).filter(Boolean);
  return html`<div class="column">
    ${changed ? html`<div class="card column draft"><${Trial} model=${model} settings=${draft} /><div class="row"><span class="grow"></span><button onClick=${() => setDraft({})}>Drop it</button><button class="primary" onClick=${async () => { if (await model.change(draft)) setDraft({}); }}>Write it</button></div></div>` : null}
    <ol class="rule-list">${order.map((/** @type {string} */ name, /** @type {number} */ place) => html`<li key=${name} class=${off.has(name) ? "rule off" : "rule"}>
      <label class="row grow"><input type="checkbox" checked=${!off.has(name)} onChange=${() => flip(name)} /><span><b>${name}</b> <span class="soft">${byName[name].id}</span><br /><span class="soft">${byName[name].why}</span></span></label>
      ${byName[name].changed ? html`<span class="chip" title="captions that it changes">${byName[name].changed}</span>` : null}
      <button class="quiet" aria-label=${`${name}: earlier`} disabled=${!place} onClick=${() => shift(place, -1)}>↑</button><button class="quiet" aria-label=${`${name}: later`} disabled=${place === order.length - 1} onClick=${() => shift(place, 1)}>↓</button></li>`)}</ol>
    <h3>What they go by</h3>
    ${pick(Object.keys(CHOICES)).map((each) => html`<label class="field"><span>${each.key}</span><select value=${value(each)} onChange=${(/** @type {any} */ event) => set(each.key, event.currentTarget.value)}>${CHOICES[each.key].map((choice) => html`<option>${choice}</option>`)}</select><span class="soft">${each.meaning}</span></label>`)}
    ${pick(NUMBERS).map((each) => html`<label class="field"><span>${each.key}</span><input type="number" step=${each.key === "rare_images" ? 1 : 0.05} min="0" value=${value(each) ?? ""} placeholder="by itself" onChange=${(/** @type {any} */ event) => set(each.key, event.currentTarget.value === "" ? null : Number(event.currentTarget.value))} /><span class="soft">${each.meaning}</span></label>`)}
    ${pick(LISTS).map((each) => html`<label class="field"><span>${each.key}</span><input type="text" value=${(value(each) || []).join(", ")} onChange=${(/** @type {any} */ event) => { const tags = event.currentTarget.value.split(",").map((/** @type {string} */ tag) => tag.trim()).filter(Boolean); set(each.key, tags.length ? tags : null); }} /><span class="soft">${each.meaning}</span></label>`)}
  </div>`;
}
