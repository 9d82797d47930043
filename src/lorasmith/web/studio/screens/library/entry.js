/** A file of the library: as a tile, and all that is known of it. */
import { html, useState } from "../../html.js";
import { address, post } from "../../api.js";
import { say } from "../../state.js";
import { size } from "../recipe/plan.js";

/** @param {any} entry */
const preview = (entry) => (entry.has_preview ? address(`/library/preview?${new URLSearchParams({ path: entry.path })}`) : "");

/** @param {string} text */
export const copy = (text) => navigator.clipboard?.writeText(text).then(() => say(`Copied: ${text}`), () => say(text)) || say(text);

/** @param {{entry: any, chosen: boolean, open: () => void}} props */
export function Tile({ entry, chosen, open }) {
  const source = preview(entry);
  return html`<button class=${chosen ? "library-tile here" : "library-tile"} aria-pressed=${chosen} onClick=${open} title=${entry.path}>
    ${source ? html`<img src=${source} alt="" loading="lazy" />` : html`<span class="no-preview" aria-hidden="true">${(entry.title || entry.name).slice(0, 2)}</span>`}
    <span class="tile-name">${entry.favourite ? "★ " : ""}${entry.name}</span>
    <span class="soft tile-facts">${[entry.family || "unknown", entry.rank ? `rank ${entry.rank}` : "", entry.rating ? "★".repeat(entry.rating) : ""].filter(Boolean).join(" · ")}</span>
    ${entry.state === "here" && !entry.problem ? null : html`<span class="chip warn">${entry.problem ? "cannot be used" : entry.state}</span>`}
  </button>`;
}

/** @param {{entry: any, close: () => void, changed: (entry: any) => void, failed: (fault: any) => void}} props */
export function Entry({ entry, close, changed, failed }) {
  const [notes, setNotes] = useState(entry.notes);
  /** @param {Record<string, any>} change */
  const note = (change) => post("/library/notes", { path: entry.path, ...change }).then(changed, failed);
  const call = `${entry.triggers[0] ? `${entry.triggers[0]} ` : ""}<lora:${entry.name}:${entry.strength || 1}>`;
  const rows = [["family", entry.family || entry.reason], ["algorithm", entry.algorithms.join(", ")], ["rank", entry.rank], ["made on", entry.base], ["strength", entry.strength], ["exam", entry.exam?.verdict],
    ["from", entry.hub ? `${entry.hub.source} ${entry.hub.model_id}` : ""], ["licence", entry.hub?.licence], ["size", size(entry.bytes)], ["AutoV2", entry.hashes.AutoV2], ["AutoV3", entry.hashes.AutoV3], ["problem", entry.problem]];
  return html`<aside class="card library-entry" aria-label=${entry.name}>
    <div class="row"><h2 class="grow">${entry.name}${entry.title && entry.title !== entry.name ? html` <span class="soft">${entry.title}</span>` : null}</h2><button class="quiet" aria-label="Close" onClick=${close}>×</button></div>
    ${preview(entry) ? html`<img class="entry-preview" src=${preview(entry)} alt="" />` : null}
    <div class="row">${[1, 2, 3, 4, 5].map((star) => html`<button class="quiet star" aria-label=${`Rate ${star}`} aria-pressed=${(entry.rating || 0) >= star} onClick=${() => note({ rating: entry.rating === star ? 0 : star })}>${(entry.rating || 0) >= star ? "★" : "☆"}</button>`)}
      <button aria-pressed=${entry.favourite} onClick=${() => note({ favourite: !entry.favourite })}>Favourite</button></div>
    ${entry.triggers.length ? html`<p>${entry.triggers.map((/** @type {string} */ trigger) => html`<button class="chip" title="Copy" onClick=${() => copy(trigger)}>${trigger}</button> `)}</p>` : null}
    ${entry.kind === "adapter" ? html`<p class="row"><code class="grow call">${call}</code><button onClick=${() => copy(call)}>Copy</button></p>` : null}
    <label class="field"><span>Notes</span><textarea rows="3" value=${notes} onInput=${(/** @type {any} */ event) => setNotes(event.currentTarget.value)} onBlur=${() => notes !== entry.notes && note({ notes })}></textarea></label>
    <table><tbody>${rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>`)}</tbody></table>
    ${entry.description ? html`<p class="soft">${entry.description.slice(0, 600)}</p>` : null}
    ${entry.tags.length ? html`<p class="tags">${entry.tags.slice(0, 24).map((/** @type {[string, number]} */ [tag, count]) => html`<span class="chip">${tag} <span class="soft">${count || ""}</span></span> `)}</p>` : null}
    <p class="soft path">${entry.path}</p>
  </aside>`;
}
