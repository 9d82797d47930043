/** The end of the road: the card of the adapter, and where it goes. */
import { html, useEffect, useState } from "../../html.js";
import { get, of, patch, post, writesOf } from "../../api.js";
import { complain, say, tasks, version } from "../../state.js";
import { ErrorLine } from "../../parts/messages.js";
import { TaskProgress } from "../../parts/progress.js";

/** @param {{project: string, adapters: any[], choose: (adapter: string) => void}} props */
export function Card({ project, adapters, choose }) {
  const [known, setKnown] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [to, setTo] = useState("published");
  const [sure, setSure] = useState(false);
  const [task, setTask] = useState("");
  const [refused, setRefused] = useState(/** @type {any} */ (null));
  const [licence, setLicence] = useState("CC BY 4.0");
  const load = () => get(of(project, "/card")).then((found) => { setKnown(found); setFault(null); }, setFault);
  useEffect(() => void load(), [project, version.value]);
  const keepLicence = () => writesOf(project).run(() => patch(of(project, "/recipe"), { set: { "provenance.licence": licence.trim() } })).then(load, complain);
  const write = () => post(of(project, "/card")).then((made) => say(`Written: ${made.files.length} files in card/.`), complain);
  const remote = to.includes(":");
  const publish = () => post(of(project, "/publish"), { to: to.trim(), yes: sure }).then((told) => { setTask(told.id); setRefused(null); }, (error) => { setTask(""); setRefused(error); });
  const told = tasks.value[task];
  if (fault) return html`<${ErrorLine} fault=${fault} retry=${load} />`;
  if (!known) return html`<p class="soft">Reading …</p>`;
  return html`<div class="card-sides">
    <section class="card readme" aria-label="The card"><${Readme} text=${known.text} /></section>
    <div class="column">
      <section class="card" aria-label="Adapter"><h2>Adapter</h2><select aria-label="The adapter to use" value=${known.adapter} onChange=${(/** @type {any} */ event) => choose(event.currentTarget.value)}>
        ${adapters.map((each) => html`<option value=${each.path}>${each.name}</option>`)}</select>
        ${known.warnings.map((/** @type {string} */ line) => html`<p class="warn-line">${line}</p>`)}
        <p class="row"><button onClick=${write}>Write the card</button></p></section>
      <section class="card" aria-label="Publish"><h2>Publish</h2>
        ${known.problem ? html`<p class="bad-text" role="alert">${known.problem.message}</p>
          ${known.problem.message.includes("licence") ? html`<p class="row"><input type="text" aria-label="Licence" value=${licence} onInput=${(/** @type {any} */ event) => setLicence(event.currentTarget.value)} /><button onClick=${keepLicence}>Keep this licence</button></p>` : html`<p class="soft">${known.problem.hint}</p>`}`
        : html`<label class="field"><span>To</span><input type="text" value=${to} onInput=${(/** @type {any} */ event) => setTo(event.currentTarget.value)} /><span class="soft">a new folder in the project, or hf:OWNER/NAME</span></label>
          ${known.header.length ? html`<p class="soft">The file's header also tells: ${known.header.join(", ")}.</p>` : null}
          ${remote ? html`<label class="check"><input type="checkbox" checked=${sure} onChange=${(/** @type {any} */ event) => setSure(event.currentTarget.checked)} />Yes, upload it for everybody to see</label>` : null}
          <p class="row"><button class="primary" onClick=${publish} disabled=${remote && !sure}>${remote ? "Upload" : "Pack"}</button></p>
          <${ErrorLine} fault=${refused} />
          ${told?.state === "running" ? html`<${TaskProgress} task=${told} />` : null}
          ${told?.state === "failed" ? html`<${ErrorLine} fault=${told.error} />` : null}
          ${told?.state === "done" ? html`<p class="good-text" role="status">${told.result.address ? `Published: ${told.result.address}` : `Packed: ${told.result.files.length} files in ${to}.`}</p>` : null}`}
      </section>
    </div>
  </div>`;
}

/** The card's text with its headings, tables and lists; every text is only text. @param {{text: string}} props */
function Readme({ text }) {
  const body = text.replace(/^---\n[\s\S]*?\n---\n/, "");
  /** @type {any[]} */
  const blocks = [];
  for (const block of body.split(/\n{2,}/)) {
    const lines = block.split("\n").filter((line) => line.trim());
    if (!lines.length) continue;
    if (lines[0].startsWith("#")) blocks.push(lines[0].startsWith("# ") ? html`<h2>${lines[0].slice(2)}</h2>` : html`<h3>${lines[0].replace(/^#+ /, "")}</h3>`, ...(lines.length > 1 ? [html`<p>${plain(lines.slice(1).join(" "))}</p>`] : []));
    else if (lines[0].startsWith("|")) {
      const rows = lines.filter((line) => !/^[\s|:-]+$/.test(line)).map((line) => line.split("|").slice(1, -1).map((cell) => plain(cell.trim())));
      blocks.push(html`<div class="scroll"><table><tbody>${rows.map((row, place) => html`<tr>${row.map((cell) => (place === 0 && rows.length > 2 ? html`<th>${cell}</th>` : html`<td>${cell}</td>`))}</tr>`)}</tbody></table></div>`);
    } else if (/^[-*] /.test(lines[0])) blocks.push(html`<ul>${lines.map((line) => html`<li>${plain(line.replace(/^[-*] /, ""))}</li>`)}</ul>`);
    else if (!/^(!\[|<)/.test(lines[0])) blocks.push(html`<p>${plain(lines.join(" "))}</p>`);
  }
  return blocks;
}

/** @param {string} text */
const plain = (text) => text.replace(/[`*]/g, "").replace(/\[([^\]]+)\]\([^)]*\)/g, "$1");
