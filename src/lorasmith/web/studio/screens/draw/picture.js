/** One picture and how it was drawn. */
import { html, useEffect, useState } from "../../html.js";
import { address, del, get, post } from "../../api.js";
import { complain, say } from "../../state.js";
import { Dialog } from "../../parts/dialog.js";
import { start, take } from "./form.js";
import { follow } from "./jobs.js";
import { dataUrl } from "./start_picture.js";

/** @param {{id: string, close: () => void, step: (by: number) => void, used: () => void, gone: () => void}} props */
export function PictureDialog({ id, close, step, used, gone }) {
  const [picture, setPicture] = useState(/** @type {any} */ (null));
  const [sure, setSure] = useState(false);
  useEffect(() => void get(`/pictures/${id}`).then(setPicture, complain), [id]);
  const file = address(`/pictures/${id}/file`);
  const recipe = picture?.document?.request || {};
  const redo = () => post(`/pictures/${id}/redo`).then((job) => { follow(job, picture.prompt); say("It is being drawn again."); }, complain);
  const use = () => { take(recipe, picture.seed); used(); };
  const from = async () => { start.value = { image: await dataUrl(await (await fetch(file)).blob()), mask: "" }; used(); };
  const copy = () => navigator.clipboard?.writeText(picture.infotext).then(() => say("Copied."), () => say(picture.infotext));
  const remove = () => (sure ? del(`/pictures/${id}`).then(gone, complain) : setSure(true));
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    /** @type {Record<string, () => void>} */
    const acts = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), r: redo, u: use, c: copy };
    if (event.ctrlKey || event.metaKey || !acts[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  };
  const facts = picture ? { Negative: recipe.negative, Seed: picture.seed, Size: `${picture.width} × ${picture.height}`, Steps: recipe.steps, Guidance: recipe.cfg, Sampler: recipe.sampler && `${recipe.sampler}, ${recipe.schedule}`,
    "Clip skip": recipe.clip_skip > 1 ? recipe.clip_skip : "", Adapters: (picture.document?.adapters || []).map((/** @type {any} */ each) => `${each.name} ${each.unet}`).join(", "), Base: picture.base, Drawn: new Date(picture.created * 1000).toLocaleString() } : {};
  return html`<${Dialog} title="Picture" close=${close} wide=${true}><div class="picture-dialog" onKeyDown=${key}>
    <img src=${file} alt=${picture?.prompt || ""} />
    <div class="column"><p class="row"><button onClick=${() => step(-1)} aria-label="Newer">←</button><button onClick=${() => step(1)} aria-label="Older">→</button></p>
      <p class="picture-prompt">${picture?.prompt || "(no prompt)"}</p>
      <table><tbody>${Object.entries(facts).filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => html`<tr><th>${name}</th><td>${value}</td></tr>`)}</tbody></table>
      <p class="row"><button class="primary" onClick=${redo} disabled=${picture && picture.kind !== "picture"} title="Draw it again exactly (R)">Redo</button><button onClick=${use} title="Take its recipe into the form (U)">Use</button>
        <button onClick=${from} title="Draw over it">Start from it</button><a class="button" href=${file} download=${`${id}.png`}>Save</a><button onClick=${copy} title="Copy the recipe (C)">Copy recipe</button><button onClick=${remove}>${sure ? "Really, for good" : "Delete"}</button></p></div>
  </div><//>`;
}
