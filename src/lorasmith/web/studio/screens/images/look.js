/** One image, large: what is known of it, its findings, and a box drawn for its crop. */
import { html, useEffect } from "../../html.js";
import { address, of } from "../../api.js";
import { useKeys } from "../../keys.js";
import { isDrawn } from "./model.js";
import { useBox } from "./box.js";

/** @param {{model: any, picture: any}} props */
function CropBox({ model, picture }) {
  const { frame, drawn, forget, hands } = useBox(picture);
  const box = drawn || picture.crop;
  useEffect(forget, [picture.name, picture.crop]);
  const percent = (/** @type {number} */ value, /** @type {number} */ whole) => `${(100 * value) / whole}%`;
  return html`<div class="look-frame" ref=${frame} ...${hands.events} style=${`aspect-ratio:${picture.width}/${picture.height}`}>
      <img src=${address(of(model.project, `/images/${picture.id}/thumbnail?size=1024`))} alt=${picture.name} draggable=${false} />
      ${box ? html`<div class="crop-box" style=${`left:${percent(box[0], picture.width)};top:${percent(box[1], picture.height)};width:${percent(box[2] - box[0], picture.width)};height:${percent(box[3] - box[1], picture.height)}`}></div>` : null}
    </div>
    <div class="row">${box ? html`<span class="number">${box[2] - box[0]} × ${box[3] - box[1]} at ${box[0]}, ${box[1]}</span>` : html`<span class="soft">Draw a box for a crop.</span>`}
      <span class="grow"></span>
      ${drawn ? html`<button class="primary" onClick=${() => model.decide("crop", drawn, { names: [picture.name] })}>Crop</button>` : null}
      ${picture.crop ? html`<button onClick=${() => model.decide("crop", null, { names: [picture.name] })}>Whole</button>` : null}</div>`;
}

/** @param {{model: any, name: string, close: () => void, turn: (step: number) => void}} props */
export function Look({ model, name, close, turn }) {
  const picture = model.byName.value.get(name);
  useKeys("One image", [
    { key: "Escape Enter", does: "Back to the grid", run: close },
    { key: "ArrowLeft", does: "The one before", run: () => turn(-1) },
    { key: "ArrowRight", does: "The next", run: () => turn(1) },
  ]);
  if (!picture) return null;
  const findings = (model.inspection.value?.document?.findings || []).filter((/** @type {any} */ each) => each.images.includes(name));
  return html`<aside class="look" aria-label=${name}>
    <div class="row"><h2 class="grow">${name}</h2><button class="quiet" aria-label="Close" onClick=${close}>×</button></div>
    <${CropBox} model=${model} picture=${picture} />
    <dl class="facts">
      <dt>Pixels</dt><dd>${picture.width} × ${picture.height}</dd>
      <dt>Shown</dt><dd>${picture.repeats} ${picture.repeats === 1 ? "time" : "times"} an epoch</dd>
      ${picture.role ? html`<dt>Role</dt><dd>${picture.role}</dd>` : null}
      ${picture.member ? html`<dt>Member</dt><dd>${picture.member}</dd>` : null}
      ${isDrawn(picture) ? html`<dt>Drawn by</dt><dd>the adapter, for a second round</dd>` : picture.made ? html`<dt>Made by</dt><dd>${picture.made.by} of ${picture.made.of.join(", ")}</dd>` : null}
      ${picture.source ? html`<dt>From</dt><dd>${picture.source}</dd>` : null}
      ${picture.author ? html`<dt>Author</dt><dd>${picture.author}</dd>` : null}
      ${picture.licence ? html`<dt>Licence</dt><dd>${picture.licence}</dd>` : null}
      ${picture.reason ? html`<dt>Why</dt><dd>${picture.reason}</dd>` : null}
      ${picture.facets?.length ? html`<dt>Labels</dt><dd>${picture.facets.map((/** @type {string} */ each) => html`<button class="chip" title="Take it away" onClick=${() => model.decide("unlabel", each, { names: [name] })}>${each} ×</button> `)}</dd>` : null}
    </dl>
    ${picture.made && !isDrawn(picture) ? html`<div class="before-after">${[...picture.made.of, name].map((/** @type {string} */ each) => { const one = model.byName.value.get(each); return one ? html`<figure><img src=${address(of(model.project, `/images/${one.id}/thumbnail?size=256`))} alt=${each} /><figcaption class="soft">${each === name ? "after" : "before"}</figcaption></figure>` : null; })}</div>` : null}
    ${findings.map((/** @type {any} */ each) => html`<p class=${each.level === "error" ? "bad-text" : each.level === "warning" ? "warn-text" : "soft"}><b>${each.rule}</b> ${each.message} <span class="soft">${each.advice}</span></p>`)}
  </aside>`;
}
