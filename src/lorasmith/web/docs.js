"use strict";
// The API page: /openapi.json as a page, with nothing from outside. Texts only ever become text nodes.

function make(tag, values = {}, ...children) {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children);
  return element;
}

const plain = (text) => (text || "").replaceAll("`", "");

let schemas = {};

function resolve(schema) {
  return schema && schema.$ref ? schemas[schema.$ref.split("/").pop()] || {} : schema || {};
}

function spell(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(spell).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return schema.prefixItems ? `[${schema.prefixItems.map(spell).join(", ")}]` : `list of ${spell(schema.items) || "anything"}`;
  return schema.type || "anything";
}

function bounds(schema) {
  const parts = (schema.anyOf || [schema]).flatMap((each) => [
    each.minimum !== undefined ? `from ${each.minimum}` : "",
    each.maximum !== undefined ? `to ${each.maximum}` : "",
    each.maxLength !== undefined ? `at most ${each.maxLength} characters` : "",
    each.minItems !== undefined ? `at least ${each.minItems}` : "",
    each.maxItems !== undefined ? `at most ${each.maxItems}` : "",
  ]);
  return parts.filter(Boolean).join(", ");
}

function table(rows) {
  return make("table", {}, ...rows.map(([name, kind, text]) => make("tr", {},
    make("td", {}, make("code", { textContent: name })), make("td", { textContent: kind }),
    make("td", { className: "soft", textContent: text }))));
}

function fields(schema, seen = new Set()) {
  const full = resolve(schema);
  const rows = [];
  for (const [name, field] of Object.entries(full.properties || {})) {
    const needed = (full.required || []).includes(name) && field.default === undefined ? "required" : "";
    const usual = field.default !== undefined && field.default !== null ? `default ${JSON.stringify(field.default)}` : "";
    rows.push([name, spell(field), [needed, usual, bounds(field), field.description].filter(Boolean).join("; ")]);
  }
  const parts = rows.length ? [table(rows)] : [];
  const inner = new Set();
  const collect = (each) => {
    if (!each || typeof each !== "object") return;
    if (each.$ref) inner.add(each.$ref.split("/").pop());
    else Object.values(each).forEach(collect);
  };
  collect(full.properties);
  for (const name of inner) {
    if (seen.has(name) || !schemas[name]) continue;
    seen.add(name);
    parts.push(make("h3", { textContent: name }), ...fields(schemas[name], seen));
  }
  return parts;
}

function example(schema, depth = 0) {
  const full = resolve(schema);
  if (full.default !== undefined) return full.default;
  if (full.anyOf) return example(full.anyOf[0], depth);
  if (full.enum) return full.enum[0];
  if (full.type === "object" || full.properties) {
    if (depth > 2) return {};
    return Object.fromEntries((full.required || []).map((name) => [name, example(full.properties[name], depth + 1)]));
  }
  return { string: "text", integer: full.minimum || 1, number: full.minimum || 1, boolean: true, array: [] }[full.type] ?? null;
}

function operation(path, method, told) {
  const parts = [make("p", { className: "soft", textContent: plain(told.description) })];
  const parameters = (told.parameters || []).map((each) => [each.name, `${spell(each.schema)} in the ${each.in}`,
    [each.required ? "required" : "", bounds(each.schema), each.description].filter(Boolean).join("; ")]);
  if (parameters.length) parts.push(make("h3", { textContent: "Parameters" }), table(parameters));
  const body = told.requestBody && told.requestBody.content["application/json"];
  let call = `curl -X ${method.toUpperCase()} ${location.origin}${path}`;
  if (body) {
    parts.push(make("h3", { textContent: "Body" }), ...fields(body.schema));
    call += ` \\\n  -H "content-type: application/json" -d '${JSON.stringify(example(body.schema))}'`;
  }
  const answers = Object.entries(told.responses || {}).map(([code, answer]) => {
    const [kind, content] = Object.entries(answer.content || {})[0] || ["", {}];
    return [code, [kind, spell(content.schema)].filter(Boolean).join(": "), answer.description];
  });
  parts.push(make("h3", { textContent: "Answers" }), table(answers));
  const success = Object.entries(told.responses || {}).find(([code]) => code.startsWith("2"));
  const schema = success && ((success[1].content || {})["application/json"] || {}).schema;
  if (schema && schema.$ref) parts.push(make("h3", { textContent: spell(schema) }), ...fields(schema));
  parts.push(make("h3", { textContent: "Call" }), make("pre", { textContent: call }));
  const summary = make("summary", {}, make("span", { className: `method ${method}`, textContent: method }),
    make("code", { textContent: path }), make("span", { className: "soft", textContent: plain(told.description).split(". ")[0] }));
  const card = make("details", {}, summary, ...parts);
  card.dataset.words = `${path} ${told.summary || ""} ${told.description || ""}`.toLowerCase();
  return card;
}

async function begin() {
  const answer = await fetch("/openapi.json");
  const api = await answer.json();
  schemas = (api.components || {}).schemas || {};
  document.getElementById("about").textContent = plain(`${api.info.title} ${api.info.version}. ${api.info.description}`);
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, told] of Object.entries(methods)) {
      const tag = (told.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(path, method, told));
    }
  }
  for (const [tag, cards] of groups) {
    document.getElementById("operations").append(make("section", {}, make("h2", { textContent: tag }), ...cards));
  }
}

document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase().trim();
  for (const card of document.querySelectorAll("details")) card.classList.toggle("hidden", !card.dataset.words.includes(wanted));
});
begin().catch((error) => { document.getElementById("about").textContent = `openapi.json cannot be read: ${error.message}`; });
