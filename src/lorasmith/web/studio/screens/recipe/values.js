/** Values of recipe keys as people write them, and back. */

/** @typedef {{path: string, group: string, kind: string, meaning: string, value: any, preset: any, default: any, is_set: boolean,
 *   usual: boolean, least: number | null, most: number | null, choices: any[]}} FormKey */

/** Whether a list holds numbers. @param {FormKey} key */
export const isNumbers = (key) => [key.value, key.preset, key.default].some((list) => Array.isArray(list) && list.some((each) => typeof each === "number"));

/** @param {any} value @returns {string} */
export function show(value) {
  if (value === null || value === undefined || value === "") return "";
  if (Array.isArray(value)) return value.map(show).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([name, each]) => `${name} = ${show(each)}`).join(", ");
  if (typeof value === "number" && value !== 0 && Math.abs(value) < 0.001) return value.toExponential().replace("e-", "e-");
  return String(value);
}

/** @param {string} text @returns {any} */
const guess = (text) => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text.trim());

/** What was written, as lora.toml has it; undefined for nothing. @param {FormKey} key @param {string} text @returns {any} */
export function parse(key, text) {
  const clean = text.trim();
  if (key.kind === "list" && !isNumbers(key)) return text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (clean === "") return undefined;
  if (key.kind === "list") {
    const numbers = clean.split(/[,x]/).map(guess);
    return numbers.length === 1 && key.path === "resolution" ? numbers[0] : numbers;
  }
  if (key.kind === "number" || key.kind === "integer") return guess(clean);
  if (key.kind === "choice") return key.choices.find((each) => String(each) === clean) ?? clean;
  if (clean.includes("=")) return Object.fromEntries(clean.split(",").map((pair) => pair.split("=")).map(([name, each]) => [name.trim(), guess(each || "")]));
  return typeof key.default === "number" ? guess(clean) : clean;
}
