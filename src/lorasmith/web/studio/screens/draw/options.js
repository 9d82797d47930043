/** A picture's numbers, its second pass, its variation: as the server describes them. */
import { html } from "../../html.js";
import { change, form, setValue, start } from "./form.js";

const SHOWN = ["width", "height", "steps", "cfg", "seed", "sampler", "schedule", "clip_skip"];

/** @param {{fields: any[], bases: any[], most: number}} props */
export function Options({ fields, bases, most }) {
  const by = Object.fromEntries(fields.map((field) => [field.name, field]));
  const { values, count, hires, variation, template } = form.value;
  /** @param {string} name */
  const field = (name) => html`<${Field} key=${name} field=${by[name]} value=${values[name]} />`;
  /** @param {string} part */
  const of = (part) => fields.filter((each) => each.name.startsWith(`${part}.`) && !/prompt|negative/.test(each.name)).map((each) => field(each.name));
  return html`<div class="options">
    <div class="numbers">
      <label>Pictures<input type="number" min="1" max=${most} value=${count} onChange=${(/** @type {any} */ event) => change({ count: Math.max(1, Number(event.currentTarget.value) || 1) })} /></label>
      ${SHOWN.slice(0, 5).map(field)}
    </div>
    <details><summary>More: sampler, second pass, variation, template</summary>
      <div class="numbers">${SHOWN.slice(5).map(field)}
        <label>Base<select value=${values.base || ""} onChange=${(/** @type {any} */ event) => setValue("base", event.currentTarget.value || null)}><option value="">the server's</option>${bases.map((base) => html`<option value=${base.name}>${base.name}</option>`)}</select></label></div>
      <label class="check"><input type="checkbox" checked=${template} onChange=${(/** @type {any} */ event) => change({ template: event.currentTarget.checked })} />the prompt is a template: {red|blue}, __list__ and the like, another choice for each picture</label>
      <label class="check"><input type="checkbox" checked=${hires} onChange=${(/** @type {any} */ event) => change({ hires: event.currentTarget.checked })} />second pass, enlarged</label>
      ${hires ? html`<div class="numbers">${of("hires")}</div>` : null}
      <label class="check"><input type="checkbox" checked=${variation} onChange=${(/** @type {any} */ event) => change({ variation: event.currentTarget.checked })} />variation of the seed</label>
      ${variation ? html`<div class="numbers">${of("variation")}</div>` : null}
    </details>
    ${start.value.image ? html`<div class="numbers">${field("init.strength")}${field("init.resize")}</div>` : null}
  </div>`;
}

/** @param {{field: any, value: any}} props */
function Field({ field, value }) {
  if (!field) return null;
  /** @param {any} next */
  const set = (next) => setValue(field.name, next);
  const shown = value ?? field.default ?? "";
  if (field.kind === "choice") return html`<label title=${field.help}>${field.label}<select value=${shown} onChange=${(/** @type {any} */ event) => set(event.currentTarget.value)}>${field.choices.map((/** @type {string} */ each) => html`<option value=${each}>${each}</option>`)}</select></label>`;
  if (field.kind === "boolean") return html`<label class="check" title=${field.help}><input type="checkbox" checked=${!!shown} onChange=${(/** @type {any} */ event) => set(event.currentTarget.checked)} />${field.label}</label>`;
  const big = field.most > Number.MAX_SAFE_INTEGER;
  return html`<label title=${field.help}>${field.label}<input type=${big ? "text" : "number"} inputmode="numeric" min=${field.least} max=${big ? undefined : field.most} step=${field.step ?? "any"} value=${shown} placeholder=${field.unset || ""}
    onChange=${(/** @type {any} */ event) => { const text = event.currentTarget.value.trim(); set(text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text)); }} /></label>`;
}
