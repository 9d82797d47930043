/** Pictures made from images: altered copies, one collage, a dataset of a single image. Yours stay as they are. */
import { html, useEffect, useState } from "../../html.js";
import { post, address, of } from "../../api.js";
import { say, tasks } from "../../state.js";
import { number } from "../../strings.js";
import { Dialog } from "../../parts/dialog.js";
import { ErrorLine } from "../../parts/messages.js";
import { TaskProgress } from "../../parts/progress.js";
import { ended } from "../projects/new_project.js";
import { useBox } from "./box.js";

const OPERATIONS = ["grayscale", "flip", "crop", "aspect", "rotate", "overlay", "enhance", "quality"];
/** The least side of a part in pixels. */
const LEAST = 32;
const LAYOUTS = [["", "what fits them"], ["side", "side by side"], ["stack", "above each other"], ["grid", "in a grid"], ["inset", "one set into the other"]];
/** @type {[string, string, (count: number) => boolean][]} */
const WAYS = [["alter", "Altered copies", (count) => count > 0], ["collage", "Collage", (count) => count > 1], ["cut", "Dataset of one", (count) => count === 1], ["clones", "In place of identical files", () => true]];

/** @param {{model: any, names: string[], close: () => void}} props */
export function MakeDialog({ model, names: chosen, close }) {
  const [names] = useState(chosen);
  const open = WAYS.filter(([, , fits]) => fits(names.length));
  const [way, setWay] = useState(names.length > 1 ? "collage" : open[0][0]);
  const [operations, setOperations] = useState(/** @type {string[]} */ ([]));
  const [count, setCount] = useState(1);
  const [layout, setLayout] = useState("");
  const [pictures, setPictures] = useState(18);
  const [mirrored, setMirrored] = useState(true);
  const [parts, setParts] = useState(/** @type {{box: number[], name: string}[]} */ ([]));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [task, setTask] = useState(/** @type {any} */ (null));
  const make = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      const begun = await post(of(model.project, "/made"), { way, images: way === "clones" ? [] : names, operations, mirrored, parts: way === "cut" ? parts : [],
        layout: way === "collage" && layout ? layout : null, count: way === "cut" ? pictures : way === "alter" ? count : null });
      setTask(begun);
      const { made } = await ended(begun);
      const fresh = made.filter((/** @type {any} */ each) => !each.existed).length;
      if (!made.length) say("There are no identical files.");
      else say(fresh ? `${number(fresh, "picture")} made; yours stay as they are.` : "They were there already.", fresh ? { action: { label: "Undo", run: () => void model.step("undo") } } : {});
      if (made.length) {
        model.filter.value = { kind: "state", value: "made" };
        model.selected.value = new Set();
        model.cursor.value = -1;
      }
      await model.load();
      close();
    } catch (error) {
      setFault(error);
      setTask(null);
    }
  };
  const flip = (/** @type {string} */ each) => setOperations(operations.includes(each) ? operations.filter((one) => one !== each) : [...operations, each]);
  const check = html`<div class="row chips" role="group" aria-label="What is changed">${OPERATIONS.map((each) => html`<button type="button" class="small" aria-pressed=${operations.includes(each)} onClick=${() => flip(each)}>${each}</button>`)}<span class="soft">${operations.length ? "" : "none: each in turn"}</span></div>`;
  return html`<${Dialog} title="Make pictures from these" close=${close} wide=${way === "cut"}><form class="column" onSubmit=${make}>
    <div class="row tabs" role="tablist" aria-label="What is made">${open.map(([value, label]) => html`<button type="button" role="tab" aria-selected=${way === value} onClick=${() => { setWay(value); setFault(null); }}>${label}</button>`)}</div>
    ${way === "alter" ? html`<p class="soft">Changed copies of ${number(names.length, "image")}; their captions say what was done.</p>${check}
      <label class="field"><span>Copies of each</span><input type="number" min="1" max="50" value=${count} onInput=${(/** @type {any} */ event) => setCount(Number(event.currentTarget.value))} /></label>` : null}
    ${way === "clones" ? html`<p class="soft">Of files that are the same, the first stays; for each other an altered copy is made, and it is rejected.</p>${check}` : null}
    ${way === "collage" ? html`<p class="soft">One picture of ${number(names.length, "image")}: a couple, or several views of one subject.</p>
      <label class="field"><span>How</span><select value=${layout} onChange=${(/** @type {any} */ event) => setLayout(event.currentTarget.value)}>${LAYOUTS.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select></label>
      <div class="row making-of">${names.slice(0, 16).map((name) => html`<img src=${address(of(model.project, `/images/${model.byName.value.get(name)?.id}/thumbnail?size=128`))} alt=${name} />`)}</div>` : null}
    ${way === "cut" ? html`<p class="soft">Its parts, and changed copies of them. Draw boxes around what matters, and say what each shows; without any it is cut regularly.</p>
      <${Parts} model=${model} picture=${model.byName.value.get(names[0])} parts=${parts} set=${setParts} />
      <div class="row"><label class="field"><span>Pictures</span><input type="number" min="15" max="20" value=${pictures} onInput=${(/** @type {any} */ event) => setPictures(Number(event.currentTarget.value))} /></label>
        <label class="check"><input type="checkbox" checked=${mirrored} onChange=${() => setMirrored(!mirrored)} /><span title="Not when its two sides differ">mirror some</span></label></div>` : null}
    <${ErrorLine} fault=${fault} />
    ${task ? html`<${TaskProgress} task=${tasks.value[task.id] || task} />` : null}
    <div class="row"><span class="grow"></span><button type="button" onClick=${close}>Cancel</button><button class="primary" disabled=${!!task}>Make</button></div>
  </form><//>`;
}

/** @param {{model: any, picture: any, parts: {box: number[], name: string}[], set: (parts: {box: number[], name: string}[]) => void}} props */
function Parts({ model, picture, parts, set }) {
  const [x, y, right, bottom] = picture.crop || [0, 0, picture.width, picture.height];
  const { frame, drawn, forget, hands } = useBox(picture);
  const [small, setSmall] = useState(false);
  const add = () => {
    if (!drawn) return;
    const box = [Math.max(drawn[0], x) - x, Math.max(drawn[1], y) - y, Math.min(drawn[2], right) - x, Math.min(drawn[3], bottom) - y];
    const fits = box[2] - box[0] >= LEAST && box[3] - box[1] >= LEAST;
    setSmall(!fits);
    if (fits) set([...parts, { box, name: "" }]);
    forget();
  };
  useEffect(() => { if (drawn && !hands.held()) add(); });
  const percent = (/** @type {number} */ value, /** @type {number} */ whole) => `${(100 * value) / whole}%`;
  const boxes = [...parts.map((each) => [each.box[0] + x, each.box[1] + y, each.box[2] + x, each.box[3] + y]), ...(drawn ? [drawn] : [])];
  return html`<div class="parts"><div class="look-frame" ref=${frame} ...${hands.events} style=${`aspect-ratio:${picture.width}/${picture.height}`}>
      <img src=${address(of(model.project, `/images/${picture.id}/thumbnail?size=1024`))} alt=${picture.name} draggable=${false} />
      ${boxes.map((box, place) => html`<div class="part-box" style=${`left:${percent(box[0], picture.width)};top:${percent(box[1], picture.height)};width:${percent(box[2] - box[0], picture.width)};height:${percent(box[3] - box[1], picture.height)}`}>${place + 1}</div>`)}
    </div><div class="column">${small ? html`<p class="warn-text" role="status">That is too small: a part has ${LEAST} pixels of the picture or more on each side.</p>` : null}<ol class="plain column">${parts.map((each, place) => html`<li class="row"><b>${place + 1}</b><input type="text" class="grow" aria-label=${`What part ${place + 1} shows`} placeholder="head" value=${each.name} onInput=${(/** @type {any} */ event) => set(parts.map((one, other) => (other === place ? { ...one, name: event.currentTarget.value } : one)))} />
      <button type="button" class="quiet" aria-label=${`Take part ${place + 1} out`} onClick=${() => set(parts.filter((_, other) => other !== place))}>×</button></li>`)}</ol></div></div>`;
}
