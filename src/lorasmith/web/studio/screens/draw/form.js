/** What is to be drawn: one form that outlives the page, and the request that it makes. */
import { signal, effect } from "../../html.js";

const KEPT = "lorasmith-draw";
/** @typedef {{name: string, strength: number}} Row */

const EMPTY = {
  prompt: "", negative: "", rows: /** @type {Row[]} */ ([]), spread: "together", control: false, count: 1, template: false,
  values: /** @type {Record<string, any>} */ ({}), hires: false, variation: false, live: false,
};

function recall() {
  try {
    return { ...EMPTY, ...JSON.parse(localStorage.getItem(KEPT) || "{}") };
  } catch {
    return EMPTY;
  }
}

export const form = signal(recall());
/** A picture to start from, as a data URL, and what of it is drawn anew. */
export const start = signal({ image: "", mask: "" });
effect(() => {
  try {
    localStorage.setItem(KEPT, JSON.stringify(form.value));
  } catch {
    // private windows keep nothing
  }
});

/** @param {Partial<typeof EMPTY>} change */
export const change = (change) => (form.value = { ...form.value, ...change });
/** @param {string} name @param {any} value */
export const setValue = (name, value) => change({ values: { ...form.value.values, [name]: value } });

/** The fields of a picture as the server takes them. @returns {Record<string, any>} */
export function request() {
  const { prompt, negative, values, hires, variation } = form.value;
  /** @type {Record<string, any>} */
  const body = { prompt, negative };
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null || value === undefined) continue;
    const [part, inner] = name.split(".");
    if (!inner) body[name] = value;
    else if ((part === "hires" && hires) || (part === "variation" && variation) || (part === "init" && start.value.image)) (body[part] ??= {})[inner] = value;
  }
  if (hires) body.hires ??= {};
  if (variation) body.variation ??= {};
  if (start.value.image) body.init = { ...body.init, image: start.value.image, ...(start.value.mask ? { mask: start.value.mask } : {}) };
  return body;
}

/** Take a picture's recipe into the form. @param {Record<string, any>} recipe @param {number} [seed] */
export function take(recipe, seed) {
  /** @type {Record<string, any>} */
  const values = {};
  for (const name of ["width", "height", "steps", "cfg", "sampler", "schedule", "clip_skip", "eta", "tiling"]) if (recipe[name] !== undefined && recipe[name] !== null) values[name] = recipe[name];
  const known = seed ?? recipe.seed;
  if (known !== null && known !== undefined) values.seed = known;
  for (const part of ["hires", "variation"]) for (const [name, value] of Object.entries(recipe[part] || {})) if (value !== null) values[`${part}.${name}`] = value;
  change({ prompt: recipe.prompt || "", negative: recipe.negative || "", rows: [], values, hires: !!recipe.hires, variation: !!recipe.variation });
}
