/** What the images' screen knows, and what it asks the server to decide. */
import { signal, computed } from "../../html.js";
import { get, post, of, reader, writesOf } from "../../api.js";
import { complain, remembered, say } from "../../state.js";
import { number } from "../../strings.js";

/**
 * @typedef {{name: string, id: string, width: number, height: number, repeats: number, state: string, folder?: string,
 *   role?: string, crop?: number[], facets?: string[], member?: string, made?: {by: string, of: string[]},
 *   caption?: boolean, reason?: string, source?: string, author?: string, licence?: string}} Picture
 * @typedef {{kind: string, value: string, names?: string[], title?: string, advice?: string, label?: string}} Filter
 */

/** @param {string} project */
export function openModel(project) {
  const listed = remembered("images/list", /** @type {any} */ (null));
  const inspection = remembered("images/inspection", /** @type {any} */ (null));
  const fault = signal(/** @type {any} */ (null));
  const filter = remembered("images/filter", /** @type {Filter} */ ({ kind: "state", value: "all" }));
  const words = remembered("images/words", "");
  const selected = remembered("images/selected", /** @type {ReadonlySet<string>} */ (new Set()));
  const cursor = remembered("images/cursor", -1);
  const anchor = remembered("images/anchor", -1);
  const top = remembered("images/top", 0);
  const side = remembered("images/side", 150);
  const view = remembered("images/view", "grid");

  /** @type {import("@preact/signals").ReadonlySignal<Picture[]>} */
  const all = computed(() => listed.value?.images || []);
  const byName = computed(() => new Map(all.value.map((each) => [each.name, each])));
  const shown = computed(() => {
    const wanted = filter.value.names && new Set(filter.value.names);
    const said = words.value.trim().toLowerCase();
    if (filter.value.kind === "groups") return all.value;
    return all.value.filter((each) => {
      if (wanted ? !wanted.has(each.name) : !inState(each, filter.value.value)) return false;
      return !said || each.name.toLowerCase().includes(said) || !!each.facets?.some((facet) => facet.toLowerCase().includes(said));
    });
  });

  const writes = writesOf(project);
  const read = reader(writes, () => get(of(project, "/images")), (found) => (listed.value = found));
  const load = async () => {
    try {
      await read();
      fault.value = null;
      const names = byName.value;
      if ([...selected.value].some((name) => !names.has(name))) selected.value = new Set([...selected.value].filter((name) => names.has(name)));
    } catch (error) {
      fault.value = error;
    }
  };
  const loadInspection = () => get(of(project, "/findings")).then((found) => (inspection.value = found), complain);

  /** The images that a decision is about: the selected ones, else the one at the cursor. */
  const chosen = () => {
    if (selected.value.size) return [...selected.value];
    const here = shown.value[cursor.value];
    return here ? [here.name] : [];
  };

  /** @param {string} verb @param {any} [value] @param {{names?: string[], reason?: string, quiet?: boolean}} [more] */
  const decide = async (verb, value = null, more = {}) => {
    const names = more.names || chosen();
    if (!names.length) return say("Select images first.");
    const before = listed.value;
    const about = new Set(names);
    listed.value = { ...before, images: before.images.map((/** @type {Picture} */ each) => (about.has(each.name) ? expect(each, verb, value) : each)) };
    try {
      const answer = await writes.run(() => post(of(project, "/decisions"), { images: names, verb, value, reason: more.reason || "" }));
      listed.value = { ...listed.value, undo: answer.undo, redo: answer.redo };
      if (!more.quiet) say(`${TOLD[verb](value)}: ${number(names.length, "image")}.`, { action: { label: "Undo", run: () => void step("undo") } });
    } catch (error) {
      listed.value = before;
      complain(error);
      void load();
    }
  };
  /** @param {"undo" | "redo"} way */
  const step = async (way) => {
    try {
      const answer = await writes.run(() => post(of(project, `/decisions/${way}`)));
      const { verb = "", value = null } = answer.decisions[0] || {};
      say(`${way === "undo" ? "Undone" : "Done again"}: ${TOLD[verb]?.(value) || verb}, ${number(answer.names.length, "image")}.`);
      await load();
    } catch (error) {
      complain(error);
    }
  };
  /** @param {string} name @param {{shift?: boolean, toggle?: boolean}} how @param {number} index */
  const select = (name, how, index) => {
    if (how.shift && anchor.value >= 0) {
      const [from, to] = [Math.min(anchor.value, index), Math.max(anchor.value, index)];
      selected.value = new Set([...(how.toggle ? selected.value : []), ...shown.value.slice(from, to + 1).map((each) => each.name)]);
    } else {
      const picked = new Set(how.toggle ? selected.value : []);
      if (how.toggle && picked.has(name)) picked.delete(name);
      else picked.add(name);
      selected.value = picked;
      anchor.value = index;
    }
    cursor.value = index;
  };
  return { project, listed, inspection, fault, filter, words, selected, cursor, anchor, top, side, view, all, byName, shown, load, loadInspection, chosen, decide, step, select };
}

/** @param {Picture} each @param {string} value */
export function inState(each, value) {
  if (value === "all") return true;
  if (value === "in") return each.state !== "rejected";
  if (value === "primary" || value === "supporting") return each.role === value;
  if (value === "made") return !!each.made && !isDrawn(each);
  if (value === "drawn") return isDrawn(each);
  if (value === "bare") return !each.caption;
  return each.state === value;
}

/** Whether an adapter drew it, for a second round. @param {Picture} each */
export const isDrawn = (each) => each.made?.by === "adopt";

/** How an image will look after a decision, until the server says it. @param {Picture} each @param {string} verb @param {any} value @returns {Picture} */
function expect(each, verb, value) {
  if (verb === "keep") return { ...each, state: "kept" };
  if (verb === "reject") return { ...each, state: "rejected" };
  if (verb === "role") return { ...each, role: value || undefined };
  if (verb === "repeats") return { ...each, repeats: value || each.repeats };
  if (verb === "crop") return { ...each, crop: value || undefined };
  if (verb === "label") return { ...each, facets: [...new Set([...(each.facets || []), value])] };
  if (verb === "unlabel") return { ...each, facets: (each.facets || []).filter((facet) => facet !== value) };
  return each;
}

/** @type {Record<string, (value: any) => string>} */
const TOLD = {
  keep: () => "Kept", reject: () => "Rejected", role: (value) => (value ? `Now ${value}` : "No role"),
  repeats: (value) => (value ? `Shown ${value} times` : "Repeats of the folder"), crop: (value) => (value ? "Cropped" : "Whole again"),
  label: (value) => `Labelled "${value}"`, unlabel: (value) => `No longer "${value}"`, distinct: () => "Told apart",
};
