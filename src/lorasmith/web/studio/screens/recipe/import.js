/** Another trainer's file: what it says, what cannot be taken over, and then its recipe here. */
import { html, useState } from "../../html.js";
import { of, readFile } from "../../api.js";
import { Dialog } from "../../parts/dialog.js";
import { ErrorLine } from "../../parts/messages.js";
import { number } from "../../strings.js";
import { show } from "./values.js";

/** @param {string} project @param {File} file @param {boolean} write */
export const readRecipe = (project, file, write) =>
  readFile(of(project, `/recipe/import?${new URLSearchParams({ name: file.name, write: String(write) })}`), file);

/** @param {Record<string, any>} table @param {string} [prefix] @returns {[string, any][]} */
function flat(table, prefix = "") {
  return Object.entries(table).flatMap(([key, value]) =>
    value && typeof value === "object" && !Array.isArray(value) ? flat(value, `${prefix}${key}.`) : [/** @type {[string, any]} */ ([prefix + key, value])]);
}

/** @param {{project: string, file: File, found: any, close: () => void, taken: () => void}} props */
export function ImportDialog({ project, file, found, close, taken }) {
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const take = () => readRecipe(project, file, true).then(taken, setFault);
  const rows = flat(found.recipe);
  return html`<${Dialog} title=${file.name} close=${close} wide=${true}>
    <p class="soft">${found.source}: ${number(rows.length, "key")} known here, ${found.left_out.length} not taken over.</p>
    <${ErrorLine} fault=${fault} />
    <div class="import-lists">
      <section><h3>Taken over</h3><table><tbody>${rows.map(([key, value]) => html`<tr><td><code>${key}</code></td><td>${show(value)}</td></tr>`)}</tbody></table></section>
      ${found.left_out.length ? html`<section><h3>Not taken over</h3><table><tbody>${found.left_out.map((/** @type {any} */ each) => html`<tr><td><code>${each.key}</code></td><td>${show(each.value)}</td><td class="soft">${each.reason}</td></tr>`)}</tbody></table></section>` : null}
    </div>
    ${found.notes.map((/** @type {string} */ note) => html`<p class="soft">${note}</p>`)}
    <p class="row"><button class="primary" onClick=${take}>Write it into this recipe</button><button onClick=${close}>Cancel</button></p>
  <//>`;
}
