/** Files that are there twice, and newer versions on hubs. */
import { html, useEffect, useState } from "../../html.js";
import { get } from "../../api.js";
import { ErrorLine } from "../../parts/messages.js";
import { size } from "../recipe/plan.js";

export function Duplicates() {
  const [found, setFound] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  useEffect(() => void get("/library/duplicates").then(setFound, setFault), []);
  if (fault) return html`<${ErrorLine} fault=${fault} />`;
  if (!found) return null;
  /** @param {string} title @param {any[][]} groups */
  const list = (title, groups) => groups.map((group) => html`<section><h3>${title} <span class="soft">${size(group[0].bytes)} each</span></h3><ul>${group.map((each) => html`<li><code>${each.path}</code></li>`)}</ul></section>`);
  return html`<section class="card" aria-label="Duplicates"><h2>Duplicates</h2>
    ${found.same.length + found.same_weights.length ? html`${list("The same file", found.same)}${list("The same weights under other headers", found.same_weights)}<p class="soft">Nothing is deleted: which of them goes is yours to say.</p>` : html`<p>Nothing is there twice.</p>`}
    ${found.unhashed ? html`<p class="soft">${found.unhashed} files have no hash yet; scan once more.</p>` : null}</section>`;
}

/** @param {{task: any, install: (reference: string) => void}} props */
export function Updates({ task, install }) {
  if (!task) return null;
  const told = task.result;
  return html`<section class="card" aria-label="Updates"><h2>Newer versions</h2>
    ${told.newer?.length ? html`<ul>${told.newer.map((/** @type {any} */ each) => html`<li class="row"><span>${each.path?.split("/").pop()}</span><span class="soft">${each.version || each.name || ""}</span>${each.reference ? html`<button onClick=${() => install(each.reference)}>Install</button>` : null}</li>`)}</ul>` : html`<p>${told.asked ? "All that came from hubs is the newest." : "Nothing here came from a hub, or it was asked for just now."}</p>`}
    ${told.gone?.length ? html`<p class="soft">${told.gone.length} are not on their hub any more; keep your files.</p>` : null}</section>`;
}
