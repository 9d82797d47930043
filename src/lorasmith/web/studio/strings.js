/** Every text of the shell and of its screens, in one table. */

/** @type {Record<string, string>} */
export const STEPS = {
  projects: "Projects", images: "Images", captions: "Captions", recipe: "Recipe", run: "Run", exam: "Exam",
  draw: "Draw", library: "Library", help: "Help",
};

export const WORDS = {
  keys: "Keys", close: "Close", theme: "Light or dark", skip: "Skip to the content", loading: "Reading",
  away: "The server does not answer; it is waited for. What is shown may be old, and nothing is lost.",
  choose: "Choose a project first.", gone: "There is no such project any more.", back: "All projects",
  broken: "This screen has a fault and had to stop. What you decided is kept.",
  undo: "Undo", redo: "Redo", cancel: "Cancel", again: "Try again", noImages: "No images yet.", addImages: "Add images", all: "All",
};

/** "1 image", "2 images". @param {number} count @param {string} one @param {string} [many] */
export const number = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** What went wrong, without the way to the project's file: of which project it is is known here. @param {string} text */
export const readable = (text) => text.replace(/^.*[\\/]lora\.toml: (?=\[)/gm, "");
