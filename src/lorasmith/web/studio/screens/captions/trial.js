/** What a change would do to every caption of the dataset, before it is written. */
import { html, useEffect, useState } from "../../html.js";
import { number } from "../../strings.js";
import { ErrorLine } from "../../parts/messages.js";
import { keyOf, tagsOf } from "./model.js";

const SHOWN = 12;

/** @param {{before: string, after: string}} props */
function Difference({ before, after }) {
  const was = tagsOf(before), is = tagsOf(after);
  const old = new Set(was.map(keyOf)), now = new Set(is.map(keyOf));
  return html`<span>${was.filter((tag) => !now.has(keyOf(tag))).map((tag) => html`<del>${tag}</del> `)}${is.filter((tag) => !old.has(keyOf(tag))).map((tag) => html`<ins>${tag}</ins> `)}${was.length === is.length && is.every((tag) => old.has(keyOf(tag))) ? "in another order" : ""}</span>`;
}

/** @param {{model: any, settings: Record<string, any> | null}} props */
export function Trial({ model, settings }) {
  const [found, setFound] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const asked = JSON.stringify(settings);
  useEffect(() => {
    if (!settings) return undefined;
    const stop = new AbortController();
    const wait = setTimeout(() => model.tryOut(settings, stop.signal).then((/** @type {any} */ answer) => { setFound(answer); setFault(null); }, (/** @type {any} */ error) => { if (!stop.signal.aborted) { setFound(null); setFault(error); } }), 120);
    return () => { clearTimeout(wait); stop.abort(); };
  }, [asked]);
  if (fault) return html`<${ErrorLine} fault=${fault} />`;
  if (!found) return html`<p class="soft">Trying …</p>`;
  return html`<div class="trial" aria-live="polite"><p><b>${found.changed ? `${number(found.changed, "caption")} of ${found.images} would change` : "No caption would change"}</b></p>
    <ul class="plain">${found.changes.slice(0, SHOWN).map((/** @type {any} */ each) => html`<li><span class="soft">${each.image}</span> <${Difference} before=${each.before} after=${each.after} /></li>`)}</ul>
    ${found.changed > SHOWN ? html`<p class="soft">and ${found.changed - SHOWN} more</p>` : null}</div>`;
}
