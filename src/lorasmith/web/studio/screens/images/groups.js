/** Look-alikes side by side: why they are taken for the same, and which one stays. */
import { html } from "../../html.js";
import { address, of } from "../../api.js";

const KINDS = /** @type {Record<string, string>} */ ({ same: "The same file", near: "Nearly the same", mirrored: "Mirrored", padded: "With borders", cropped: "Cut out of another" });

/** @param {{model: any, open: (name: string) => void}} props */
export function Groups({ model, open }) {
  const groups = model.inspection.value?.document?.groups || [];
  return html`<div class="groups">${groups.map((/** @type {any} */ group) => {
    const there = group.images.map((/** @type {string} */ name) => model.byName.value.get(name)).filter(Boolean);
    const others = there.filter((/** @type {any} */ each) => each.name !== group.keep && each.state !== "rejected").map((/** @type {any} */ each) => each.name);
    return html`<section class="card group" key=${group.keep}>
      <div class="row"><h3>${KINDS[group.kind] || group.kind}</h3><span class="soft">${group.reason ? `${group.keep} stays: ${group.reason}` : ""}</span><span class="grow"></span>
        <button onClick=${() => model.decide("reject", null, { names: others, reason: `D12: ${group.kind} as ${group.keep}` })} disabled=${!others.length}>Reject the others</button>
        <button onClick=${() => model.decide("distinct", null, { names: group.images })}>Not the same</button></div>
      <div class="group-pictures">${there.map((/** @type {any} */ each) => html`<figure class=${each.state}>
        <button class="bare" onClick=${() => open(each.name)} aria-label=${`Look at ${each.name}`}><img src=${address(of(model.project, `/images/${each.id}/thumbnail?size=512`))} alt="" loading="lazy" /></button>
        <figcaption>${each.name === group.keep ? html`<span class="chip good">stays</span> ` : null}${each.state === "rejected" ? html`<span class="chip bad">rejected</span> ` : null}${each.name}<br />
          <span class="soft">${each.width} × ${each.height}</span>
          <span class="row"><button onClick=${() => model.decide("keep", null, { names: [each.name] })}>Keep</button><button onClick=${() => model.decide("reject", null, { names: [each.name] })}>Reject</button></span></figcaption>
      </figure>`)}</div></section>`;
  })}</div>`;
}
