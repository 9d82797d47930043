/** Help: every rule, key and figure with its text. */
import { html, useEffect, useState } from "../../html.js";
import { get } from "../../api.js";
import { remembered } from "../../state.js";
import { shown } from "../../keys.js";
import { Unshown } from "../../parts/messages.js";
import { useKeys } from "../../keys.js";

export function Screen() {
  const [sections, setSections] = useState(/** @type {any[] | null} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const search = remembered("help-search", "");
  const load = () => get("/help").then((found) => { setSections(found.sections); setFault(null); }, setFault);
  useEffect(() => void load(), []);
  useKeys("Help", [{ key: "/", does: "search", run: () => document.getElementById("help-search")?.focus() }]);
  if (fault) return html`<${Unshown} title="Help" fault=${fault} retry=${load} />`;
  if (!sections) return null;
  const words = search.value.trim().toLowerCase();
  const found = sections.map((section) => ({ ...section, entries: section.entries.filter((/** @type {any} */ each) => !words || `${each.name} ${each.text}`.toLowerCase().includes(words)) })).filter((section) => section.entries.length);
  return html`<div class="sheet help"><div class="row help-head"><h1>Help</h1><input id="help-search" type="search" class="grow" aria-label="Search" placeholder="Search rules, keys, figures ( / )" value=${search.value} onInput=${(/** @type {any} */ event) => (search.value = event.currentTarget.value)} />
    <button onClick=${() => (shown.value = true)}>Keys <kbd>?</kbd></button><a class="button" href="/docs">API</a></div>
    ${found.length ? null : html`<p class="empty">Nothing has "${search.value}".</p>`}
    ${found.map((section) => html`<details class="card help-section" key=${section.title} open=${!!words || section.entries.length < 40}><summary><b>${section.title}</b> <span class="soft">${section.entries.length}</span></summary>
      <dl>${section.entries.map((/** @type {any} */ each) => html`<div><dt><code>${each.name}</code></dt><dd>${each.text}${each.default && each.default !== "None" ? html` <span class="soft">(default ${each.default})</span>` : null}</dd></div>`)}</dl></details>`)}
  </div>`;
}
