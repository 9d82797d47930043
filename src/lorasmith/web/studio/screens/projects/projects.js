/** Projects: a card for each, and a new one from whatever is dropped on the page. */
import { html, useEffect, useRef, useState } from "../../html.js";
import { get, post, address, of } from "../../api.js";
import { go, link, names, version, complain } from "../../state.js";
import { number, readable } from "../../strings.js";
import { useKeys } from "../../keys.js";
import { ErrorLine } from "../../parts/messages.js";
import { NewProject, ended } from "./new_project.js";
import { piecesOfFiles, useDrop } from "./intake.js";

const ABOUT = { character: "A character", style: "A way of drawing", concept: "An idea" };

/** @param {any} card */
function stateOf(card) {
  if (!card.images) return ["No images yet", ""];
  if (card.exam) {
    if (card.exam.hit_rate == null) return ["Examined", "accent"];
    const hits = card.exam.hit_rate.value ?? card.exam.hit_rate;
    return [`Examined: ${Math.round(hits * 100)} % hits`, hits >= 0.8 ? "good" : hits >= 0.5 ? "warn" : "bad"];
  }
  if (card.runs) return ["Trained", "accent"];
  if (card.captions) return ["Captioned", "accent"];
  return ["Images are there", ""];
}

/** @param {{card: any}} props */
function Card({ card }) {
  if (card.fault) {
    return html`<li class="project-card broken"><div class="project-head"><h2>${card.name}</h2></div>
      <p class="bad-text">${card.fault.where ? html`<code>${card.fault.where.split(/[\\/]/).pop()}</code>: ` : null}${readable(card.fault.message)}</p><p class="soft">${card.fault.hint}</p></li>`;
  }
  const [state, tone] = stateOf(card);
  return html`<li class="project-card">
    <a class="project-open" href=${link("images", card.name)} aria-label=${`Open ${card.name}`}>
      <span class="project-pictures" aria-hidden="true">${card.pictures.map((/** @type {string} */ id) => html`<img src=${address(of(card.name, `/images/${id}/thumbnail?size=256`))} alt="" loading="lazy" />`)}</span>
      <span class="project-head"><h2>${card.name}</h2><span class=${`chip ${tone}`}>${state}</span></span>
      <span class="soft">${card.subject}, trigger <b>${card.trigger}</b></span>
      <span class="soft">${number(card.images, "image")}${card.rejected ? `, ${card.rejected} rejected` : ""}, ${number(card.captions, "caption")}${card.runs ? `, ${number(card.runs, "run")}` : ""}</span>
      ${card.problems ? html`<span class="warn-text">${number(card.problems, "problem")} in its files</span>` : null}
    </a></li>`;
}

/** @param {{name: string}} props */
function Example({ name }) {
  const [busy, setBusy] = useState(false);
  const open = async () => {
    setBusy(true);
    try {
      const task = await post("/projects", { name, example: name });
      const made = await ended(task);
      go("images", made.project);
    } catch (fault) {
      complain(fault);
      setBusy(false);
    }
  };
  return html`<li><button class="example" onClick=${open} disabled=${busy}><b>${name}</b><span class="soft">${/** @type {any} */ (ABOUT)[name] || ""}</span></button></li>`;
}

export function Screen() {
  const [known, setKnown] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [pieces, setPieces] = useState(/** @type {import("./intake.js").Piece[] | null} */ (null));
  const files = useRef(/** @type {HTMLInputElement | null} */ (null));
  const folder = useRef(/** @type {HTMLInputElement | null} */ (null));
  const look = () => get("/projects").then((found) => { setKnown(found); setFault(null); }, setFault);
  useEffect(() => void look(), [names.value, version.value]);
  useKeys("Projects", [
    { key: "n", does: "New project from files", run: () => files.current?.click() },
    { key: "f", does: "New project from a folder", run: () => folder.current?.click() },
    { key: "p", does: "New project from a path", run: () => setPieces([]) },
  ]);
  const over = useDrop(setPieces);
  const take = (/** @type {any} */ event) => { const found = piecesOfFiles([...event.currentTarget.files]); event.currentTarget.value = ""; if (found.length) setPieces(found); };
  return html`<div class=${over ? "sheet projects over" : "sheet projects"}>
    <div class="row projects-head"><h1>Projects</h1><span class="grow"></span>
      <button onClick=${() => setPieces([])} disabled=${!known}>From a path</button></div>
    <${ErrorLine} fault=${fault} retry=${look} />
    <div class="drop-place">
      <p><b>Drop a folder, images or a zip here</b></p>
      <p class="soft">They are copied; yours stay as they are.</p>
      <div class="row"><button class="primary" onClick=${() => files.current?.click()}>Choose files</button>
        <button onClick=${() => folder.current?.click()}>Choose a folder</button></div>
      <input ref=${files} type="file" multiple accept="image/*,.zip,.txt,.caption,.json,.jsonl,.csv" class="visually-hidden" tabindex="-1" aria-label="Files" onChange=${take} />
      <input ref=${folder} type="file" webkitdirectory class="visually-hidden" tabindex="-1" aria-label="Folder" onChange=${take} />
    </div>
    ${known && known.projects.length ? html`<ul class="cards">${known.projects.map((/** @type {any} */ card) => html`<${Card} key=${card.name} card=${card} />`)}</ul>` : null}
    ${known && known.examples.length ? html`<section><h2>${known.projects.length ? "Examples" : "Or look around in an example first"}</h2>
      <ul class="examples">${known.examples.map((/** @type {string} */ name) => html`<${Example} key=${name} name=${name} />`)}</ul></section>` : null}
    ${known ? html`<p class="soft foot">Projects lie in <code>${known.folder}</code></p>` : null}
    ${pieces && known ? html`<${NewProject} pieces=${pieces} known=${known} close=${() => setPieces(null)} />` : null}
  </div>`;
}
