/** A picture to start from, and a mask that is drawn over it with the mouse or a finger: what is white is drawn anew. */
import { html, useEffect, useRef, useState } from "../../html.js";
import { start } from "./form.js";

/** @param {Blob} file @returns {Promise<string>} */
export const dataUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(String(reader.result));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

export function StartPicture() {
  const picker = useRef(/** @type {HTMLInputElement | null} */ (null));
  const { image, mask } = start.value;
  /** @param {File | undefined} file */
  const take = async (file) => { if (file) start.value = { image: await dataUrl(file), mask: "" }; };
  return html`<fieldset class="start-picture"><legend>Start from a picture</legend>
    ${image ? html`<${Mask} key=${image} image=${image} />
      <p class="row"><button onClick=${() => (start.value = { image: "", mask: "" })}>Take it out</button>${mask ? html`<button onClick=${() => (start.value = { image, mask: "" })}>Clear the mask</button>` : html`<span class="soft">Draw over it to change only that part.</span>`}</p>`
    : html`<p class="row"><button onClick=${() => picker.current?.click()}>Choose …</button><span class="soft">or drop one; a picture that tells its recipe can fill the form.</span></p>`}
    <input ref=${picker} type="file" accept="image/*" hidden onChange=${(/** @type {any} */ event) => { take(event.currentTarget.files[0]); event.currentTarget.value = ""; }} />
  </fieldset>`;
}

/** @param {{image: string}} props */
function Mask({ image }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [brush, setBrush] = useState(36);
  const last = useRef(/** @type {{x: number, y: number} | null} */ (null));
  useEffect(() => {
    if (!start.value.mask) canvas.current?.getContext("2d")?.clearRect(0, 0, canvas.current.width, canvas.current.height);
  }, [start.value.mask, size.width]);
  /** @param {PointerEvent} event */
  const where = (event) => {
    const box = /** @type {HTMLCanvasElement} */ (canvas.current).getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * size.width, y: ((event.clientY - box.top) / box.height) * size.height };
  };
  /** @param {PointerEvent} event */
  const draw = (event) => {
    const context = canvas.current?.getContext("2d");
    if (!last.current || !context) return;
    const to = where(event);
    Object.assign(context, { lineWidth: (brush / 256) * Math.max(size.width, size.height), lineCap: "round", strokeStyle: "#fff" });
    context.beginPath();
    context.moveTo(last.current.x, last.current.y);
    context.lineTo(to.x + 0.01, to.y);
    context.stroke();
    last.current = to;
  };
  const end = () => {
    if (!last.current || !canvas.current) return;
    last.current = null;
    const whole = document.createElement("canvas");
    Object.assign(whole, size);
    const context = whole.getContext("2d");
    if (!context) return;
    context.fillStyle = "#000";
    context.fillRect(0, 0, size.width, size.height);
    context.drawImage(canvas.current, 0, 0);
    start.value = { image, mask: whole.toDataURL("image/png") };
  };
  return html`<div class="mask"><img src=${image} alt="the picture to start from" onLoad=${(/** @type {any} */ event) => setSize({ width: event.currentTarget.naturalWidth, height: event.currentTarget.naturalHeight })} />
    <canvas ref=${canvas} width=${size.width} height=${size.height} aria-label="Mask: draw over what is to change"
      onPointerDown=${(/** @type {PointerEvent} */ event) => { last.current = where(event); canvas.current?.setPointerCapture(event.pointerId); draw(event); }} onPointerMove=${draw} onPointerUp=${end} onPointerCancel=${end}></canvas></div>
    <label class="slider"><span>Brush</span><input type="range" min="6" max="120" value=${brush} onInput=${(/** @type {any} */ event) => setBrush(Number(event.currentTarget.value))} /></label>`;
}
