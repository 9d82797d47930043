/** Decisions that need a word or a number. */
import { html, useState } from "../../html.js";
import { Dialog } from "../../parts/dialog.js";
import { TagInput } from "../../parts/tag_input.js";

/** @param {{model: any, close: () => void}} props */
export function AskRepeats({ model, close }) {
  const [times, setTimes] = useState(2);
  const done = (/** @type {any} */ value) => { model.decide("repeats", value); close(); };
  return html`<${Dialog} title="How often an epoch shows them" close=${close}>
    <form class="column" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); done(times); }}>
      <label class="field"><span>Times</span><input type="number" min="1" max="999" value=${times} autofocus onInput=${(/** @type {any} */ event) => setTimes(Number(event.currentTarget.value))} /></label>
      <div class="row"><span class="grow"></span><button type="button" onClick=${() => done(null)}>As their folder says</button><button class="primary">Set</button></div>
    </form><//>`;
}

/** @param {{model: any, close: () => void}} props */
export function AskLabel({ model, close }) {
  const facets = (model.inspection.value?.document?.coverage || []).map((/** @type {any} */ each) => ({ tag: each.facet, note: each.wanted ? `${each.images} of ${each.wanted}` : "" }));
  const used = [...new Set(model.all.value.flatMap((/** @type {any} */ each) => each.facets || []))].map((tag) => ({ tag, note: "" }));
  const known = [...facets, ...used.filter((each) => !facets.some((/** @type {any} */ facet) => facet.tag === each.tag))];
  return html`<${Dialog} title="What they show" close=${close}>
    <p class="soft">Your own words, or one of the checklist. Captions do not change.</p>
    <${TagInput} label="Label" autofocus=${true} take=${(/** @type {string} */ tag) => { model.decide("label", tag); close(); }}
      complete=${async (/** @type {string} */ text) => known.filter((each) => each.tag.toLowerCase().includes(text.toLowerCase())).slice(0, 12)} />
  <//>`;
}
