/** The shell: the road as a stepper, one screen at a time, and what stands above all of them. */
import { html, render, useEffect, useErrorBoundary, useState } from "./html.js";
import { ONLY, SCREENS, away, OF_PROJECT, route, go, link, names, theme, turnTheme } from "./state.js";
import { STEPS, WORDS } from "./strings.js";
import { useKeys, shown } from "./keys.js";
import { Toasts, Unshown } from "./parts/messages.js";
import { KeyBoard } from "./parts/key_board.js";

/** The module of each screen; it exports `Screen`. @type {Record<string, () => Promise<{Screen: any}>>} */
const MODULES = {
  projects: () => import("./screens/projects/projects.js"),
  images: () => import("./screens/images/images.js"),
  captions: () => import("./screens/captions/captions.js"),
  recipe: () => import("./screens/recipe/recipe.js"),
  run: () => import("./screens/run/run.js"),
  exam: () => import("./screens/exam/exam.js"),
  draw: () => import("./screens/draw/draw.js"),
  library: () => import("./screens/library/library.js"),
  help: () => import("./screens/help/help.js"),
};
/** @type {Record<string, any>} */
const loaded = {};

function Body() {
  const { project, screen } = route.value;
  const [, again] = useState(0);
  const [fault, setFault] = useState(/** @type {unknown} */ (null));
  useEffect(() => {
    setFault(null);
    if (loaded[screen] || !MODULES[screen]) return;
    MODULES[screen]().then((module) => {
      loaded[screen] = module.Screen;
      again((count) => count + 1);
    }, setFault);
  }, [screen]);
  if (OF_PROJECT.includes(screen) && !project) return html`<${Empty} text=${WORDS.choose} />`;
  if (project && names.value && !names.value.includes(project)) return html`<${Empty} text=${WORDS.gone} />`;
  if (fault) return html`<${Unshown} title=${STEPS[screen]} fault=${fault} />`;
  const Screen = loaded[screen];
  return Screen ? html`<${Guarded} key=${`${project}/${screen}`} title=${STEPS[screen]}><${Screen} project=${project} /><//>` : null;
}

/** What a fault of the page's own leaves of a screen: the fault, and a way on. @param {{title: string, children?: any}} props */
function Guarded({ title, children }) {
  const [fault, again] = useErrorBoundary((error) => console.error(error));
  return fault ? html`<${Unshown} title=${title} fault=${{ message: WORDS.broken, hint: String(fault.message || fault) }} retry=${again} />` : children;
}

/** @param {{text: string}} props */
const Empty = ({ text }) => html`<div class="empty"><p>${text}</p><a class="button" href=${link("projects", "")}>${WORDS.back}</a></div>`;

/** @param {{screen: string, number: number}} props */
function Step({ screen, number }) {
  const here = route.value.screen === screen;
  const off = OF_PROJECT.includes(screen) && !route.value.project;
  return html`<li><a class=${`step${here ? " here" : ""}${off ? " off" : ""}`} href=${off ? undefined : link(screen)}
    aria-current=${here ? "page" : undefined} aria-disabled=${off ? "true" : undefined}
    ><span class="step-number" aria-hidden="true">${number}</span>${STEPS[screen]}</a></li>`;
}

function Shell() {
  const { project, screen } = route.value;
  useKeys("Everywhere", [
    ...(ONLY ? [] : SCREENS).map((each, place) => ({
      key: `${place + 1}`, does: STEPS[each], run: () => (OF_PROJECT.includes(each) && !project ? undefined : go(each)),
    })),
  ]);
  useEffect(() => {
    document.querySelector(".step.here")?.scrollIntoView({ inline: "center", block: "nearest" });
    document.title = `${STEPS[screen]}${project ? ` · ${project}` : ""} · Lorasmith`;
  }, [screen, project]);
  return html`
    <a class="skip" href="#content" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("content")?.focus(); }}>${WORDS.skip}</a>
    <header class="top">
      <a class="brand" href=${link("projects", "")}><img src="/web/mark.svg" alt="" width="22" height="22" /><span>Lorasmith</span></a>
      ${project ? html`<span class="project-name" title=${project}>${project}</span>` : null}
      ${ONLY ? html`<span class="grow"></span>` : html`<nav aria-label="The road"><ol class="steps">
        ${SCREENS.map((each, place) => html`<${Step} screen=${each} number=${place + 1} />`)}
      </ol></nav>`}
      <span class="top-tools">${ONLY ? html`<a class="button quiet" href="/docs">API</a>` : null}
        <button class="quiet" onClick=${() => (shown.value = true)} title="${WORDS.keys} (?)" aria-label=${WORDS.keys}>?</button>
        <button class="quiet" onClick=${turnTheme} title=${WORDS.theme} aria-label=${WORDS.theme}>${theme.value === "dark" ? "☀" : "◐"}</button>
      </span>
    </header>
    ${away.value ? html`<p class="away" role="status">${WORDS.away}</p>` : null}
    <main id="content" tabindex="-1"><${Body} /></main>
    <${Toasts} />
    <${KeyBoard} />`;
}

const place = document.getElementById("app");
if (place) render(html`<${Shell} />`, place);
