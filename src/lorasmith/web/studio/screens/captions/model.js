/** What the captions' screen knows: captions by image, tags, rules; and what it changes. */
import { signal, computed } from "../../html.js";
import { get, post, patch, of, part, reader, writesOf } from "../../api.js";
import { complain, remembered, say } from "../../state.js";
import { number } from "../../strings.js";

/** @param {string} caption */
export const tagsOf = (caption) => caption.split(",").map((tag) => tag.trim()).filter(Boolean);
/** How tags are compared. @param {string} tag */
export const keyOf = (tag) => tag.toLowerCase().replaceAll("\\", "").replaceAll("_", " ").trim();

/** @param {string} project */
export function openModel(project) {
  const listed = remembered("captions/list", /** @type {any} */ (null));
  const table = remembered("captions/table", /** @type {any} */ (null));
  const rules = remembered("captions/rules", /** @type {any} */ (null));
  const words = remembered("captions/words", "");
  const only = remembered("captions/only", /** @type {{title: string, names: string[]} | null} */ (null));
  const cursor = remembered("captions/cursor", 0);
  const top = remembered("captions/top", 0);
  const panel = remembered("captions/panel", "tags");
  const explained = signal(/** @type {any} */ (null));
  const fault = signal(/** @type {any} */ (null));
  const all = computed(() => Object.keys(listed.value?.captions || {}));
  const shown = computed(() => {
    const wanted = only.value && new Set(only.value.names);
    const said = words.value.trim().toLowerCase();
    const captions = listed.value?.captions || {};
    return all.value.filter((name) => (!wanted || wanted.has(name)) && (!said || name.toLowerCase().includes(said) || captions[name].toLowerCase().includes(said)));
  });
  const here = computed(() => shown.value[Math.min(cursor.value, shown.value.length - 1)] || "");

  const writes = writesOf(project);
  const read = reader(writes, () => get(of(project, "/captions")), (found) => (listed.value = found));
  const load = async () => {
    try {
      await read();
      fault.value = null;
    } catch (error) {
      fault.value = error;
      return;
    }
    get(of(project, "/tags")).then((found) => (table.value = found), complain);
    get(of(project, "/rules")).then((found) => (rules.value = found), complain);
  };
  let turn = 0;
  const explain = async () => {
    const name = here.value, mine = ++turn;
    if (!name) return;
    try {
      const found = await get(of(project, `/captions/explained?image=${part(name)}`));
      if (mine === turn) explained.value = found;
    } catch (error) {
      complain(error);
    }
  };

  /** @param {string[]} names @param {string[]} add @param {string[]} remove */
  const correct = async (names, add, remove) => {
    if (!names.length) return;
    const before = listed.value;
    const about = new Set(names), gone = new Set(remove.map(keyOf));
    const captions = Object.fromEntries(Object.entries(before.captions).map(([name, caption]) => {
      if (!about.has(name)) return [name, caption];
      const left = tagsOf(/** @type {string} */ (caption)).filter((tag) => !gone.has(keyOf(tag)));
      const keys = new Set(left.map(keyOf));
      return [name, [...left, ...add.filter((tag) => !keys.has(keyOf(tag)))].join(", ")];
    }));
    listed.value = { ...before, captions };
    try {
      rules.value = await writes.run(() => post(of(project, "/captions"), { images: names, add, remove }));
      listed.value = { ...listed.value, undo: rules.value.undo, redo: rules.value.redo };
      if (names.length > 1) say(`${add.length ? `Added “${add.join(", ")}”` : `Taken “${remove.join(", ")}”`}: ${number(names.length, "image")}.`, { action: { label: "Undo", run: () => void step("undo") } });
      await load();
      await explain();
    } catch (error) {
      listed.value = before;
      complain(error);
      void load();
    }
  };
  /** @param {Record<string, any>} settings */
  const change = async (settings) => {
    try {
      rules.value = await writes.run(() => patch(of(project, "/rules"), { set: settings }));
      say("Written to lora.toml.", { action: { label: "Undo", run: () => void step("undo") } });
      await load();
      await explain();
      return true;
    } catch (error) {
      complain(error);
      return false;
    }
  };
  /** @param {Record<string, any>} settings @param {AbortSignal} [signal] */
  const tryOut = (settings, signal) => post(of(project, "/rules/diff"), { set: settings }, signal);
  /** @param {"undo" | "redo"} way */
  const step = async (way) => {
    try {
      rules.value = await writes.run(() => post(of(project, `/rules/${way}`)));
      say(way === "undo" ? "Undone." : "Done again.");
      await load();
      await explain();
    } catch (error) {
      complain(error);
    }
  };
  /** @param {string} tag @param {"raw" | "left"} where */
  const showTag = async (tag, where = "raw") => {
    try {
      const found = await get(of(project, `/tags/images?tag=${part(tag)}`));
      only.value = { title: `${where === "raw" ? "Came with" : "Caption has"} “${tag}”`, names: found[where] };
      cursor.value = 0;
      top.value = 0;
    } catch (error) {
      complain(error);
    }
  };
  const complete = async (/** @type {string} */ text) =>
    (await get(of(project, `/tags/complete?text=${part(text)}`))).tags.map((/** @type {any} */ each) => ({ tag: each.tag, note: each.images ? String(each.images) : "" }));
  const setting = (/** @type {string} */ key) => rules.value?.settings.find((/** @type {any} */ each) => each.key === key)?.value;
  return { project, listed, table, rules, words, only, cursor, top, panel, explained, fault, all, shown, here, load, explain, correct, change, tryOut, step, showTag, complete, setting };
}
