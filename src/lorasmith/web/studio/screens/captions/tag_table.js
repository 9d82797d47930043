/** All tags with their counts; a click shows the images. Find and replace is a rule, so that it can be undone. */
import { html, useState } from "../../html.js";
import { Trial } from "./trial.js";

const SHOWN = 150;
/** @type {[string, string, (row: any, table: any, rare: number) => boolean][]} */
const KINDS = [
  ["all", "All", () => true],
  ["frequent", "Frequent", (row) => row.share >= 0.5],
  ["rare", "Rare", (row, _, rare) => row.images < rare && row.share < 0.5],
  ["fused", "Fused with the trigger", (row) => row.fused],
  ["absorbed", "Left out", (row) => !row.left],
];

/** @param {{model: any}} props */
export function TagTable({ model }) {
  const [kind, setKind] = useState("all");
  const [words, setWords] = useState("");
  const [replace, setReplace] = useState(/** @type {{from: string, to: string} | null} */ (null));
  const table = model.table.value;
  if (!table) return html`<p class="soft">Counting …</p>`;
  const rare = Math.max(2, Math.min(model.setting("rare_images") ?? 15, table.images / 4));
  const test = /** @type {any} */ (KINDS.find((each) => each[0] === kind))?.[2];
  const rows = kind === "contradicting" ? [] : table.tags.filter((/** @type {any} */ row) => test(row, table, rare) && row.tag.toLowerCase().includes(words.toLowerCase()));
  const to = replace?.to.trim();
  const alias = !replace || to === replace.from ? null
    : to ? { aliases: { ...(model.setting("aliases") || {}), [replace.from]: to } }
    : { undesired: [...(model.setting("undesired") || []), replace.from] };
  return html`<div class="column">
    <div class="row chips" role="group" aria-label="Kind of tags">${KINDS.map(([value, label]) => html`<button class="small" aria-pressed=${kind === value} onClick=${() => setKind(value)}>${label}</button>`)}
      ${table.contradictions.length ? html`<button class="small" aria-pressed=${kind === "contradicting"} onClick=${() => setKind("contradicting")}>Contradicting ${table.contradictions.length}</button>` : null}</div>
    <input type="search" placeholder="Find a tag" aria-label="Find a tag" value=${words} onInput=${(/** @type {any} */ event) => setWords(event.currentTarget.value)} />
    ${replace ? html`<form class="card column" onSubmit=${async (/** @type {Event} */ event) => { event.preventDefault(); if (alias && await model.change(alias)) setReplace(null); }}>
      <p>Instead of <b>${replace.from}</b></p>
      <input type="text" value=${replace.to} placeholder="nothing: leave it out everywhere" aria-label="Replace by" autofocus onInput=${(/** @type {any} */ event) => setReplace({ ...replace, to: event.currentTarget.value })} />
      ${alias ? html`<${Trial} model=${model} settings=${alias} />` : null}
      <div class="row"><span class="grow"></span><button type="button" onClick=${() => setReplace(null)}>Cancel</button><button class="primary" disabled=${!alias}>Write the rule</button></div></form>` : null}
    ${Object.keys(table.typos).length ? html`<p class="warn-text">Misspelt triggers: ${Object.entries(table.typos).map(([word, count]) => `${word} (${count})`).join(", ")}</p>` : null}
    ${kind === "contradicting"
      ? html`<ul class="plain">${table.contradictions.map((/** @type {any} */ each) => html`<li><button class="line" onClick=${() => { model.only.value = { title: `${each.about}: ${each.tags.join(" and ")}`, names: each.images }; model.cursor.value = 0; }}><span>${each.tags.join(" · ")}</span><span class="chip warn">${each.images.length}</span></button></li>`)}</ul>`
      : html`<table class="tag-table"><thead><tr><th>Tag</th><th class="number" title="images that came with it">came</th><th class="number" title="captions that have it">left</th><th><span class="visually-hidden">Replace</span></th></tr></thead><tbody>
        ${rows.slice(0, SHOWN).map((/** @type {any} */ row) => html`<tr key=${row.tag}><td><button class="tag-link" onClick=${() => model.showTag(row.tag)}>${row.tag}</button>${row.fused ? html` <span class="chip warn" title="Nearly always with the trigger, so the trigger cannot be told from it">fused</span>` : null}${row.feature ? html` <span class="soft">${row.feature}</span>` : null}</td>
          <td class="number">${row.images}</td><td class="number">${row.left}</td><td><button class="quiet" title="Find and replace" aria-label=${`Replace ${row.tag}`} onClick=${() => setReplace({ from: row.tag, to: row.tag })}>✎</button></td></tr>`)}</tbody></table>
        ${rows.length > SHOWN ? html`<p class="soft">and ${rows.length - SHOWN} more; type to find them</p>` : null}`}
  </div>`;
}
