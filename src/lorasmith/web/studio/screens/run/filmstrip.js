/** The sample pictures of a run: a slider goes over the steps, one picture a prompt. */
import { html } from "../../html.js";

/** @param {{samples: any[], source: (file: string) => string, at: import("@preact/signals").Signal<number>}} props */
export function Filmstrip({ samples, source, at }) {
  const steps = [...new Set(samples.map((each) => each.step))].sort((one, other) => one - other);
  const place = at.value < 0 ? steps.length - 1 : Math.min(at.value, steps.length - 1);
  const shown = samples.filter((each) => each.step === steps[place]);
  return html`<section class="card filmstrip" aria-label="Samples">
    <div class="row"><h2>Samples</h2><input class="grow" type="range" min="0" max=${steps.length - 1} value=${place} aria-label="Step" aria-valuetext=${`step ${steps[place]}`}
      onInput=${(/** @type {any} */ event) => (at.value = Number(event.currentTarget.value))} disabled=${steps.length < 2} /><output>step ${steps[place]}</output></div>
    <div class="film">${shown.map((each) => html`<figure key=${each.prompt}><img src=${source(each.path)} alt=${each.prompt} loading="lazy" /><figcaption title=${each.prompt}>${each.prompt}</figcaption></figure>`)}</div>
  </section>`;
}
