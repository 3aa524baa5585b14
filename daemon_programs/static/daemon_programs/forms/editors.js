/* Editors: each shows a value of a shape (see admin/forms/shapes.py) and says what JSON has become of it.

   An editor is { element, json() }: `json` returns the text of the value, or "" if nothing is filled in. What was not
   touched is written as it was, so that a value survives that its controls can't show exactly (CR LF). */
import { button, focusFirst, make, newId, tellOfChange } from "./elements.js";
import { hideSecret } from "./secrets.js";
import { boolean, choice, fixed, number, options, set, text } from "./scalars.js";

const EDITORS = { text, number, boolean, choice, fixed, set, list, map, object, variants, optional };

/* Return an editor of a value; `label` names it for people who don't see where it is. */
export function edit(shape, value, label) {
    const editor = EDITORS[shape.kind](shape, value, label);
    const original = value === undefined || shape.kind === "fixed" ? null : JSON.stringify(value, null, 2);
    let isTouched = false;
    editor.element.addEventListener("input", () => { isTouched = true; });
    return { ...editor, json: () => (isTouched || shape.kind === "fixed" ? editor.json() : (original ?? "")) };
}

/* Return the editor of a field's whole value; undefined: it has none. */
export function editWhole(shape, value, label) {
    return edit(shape.kind === "object" ? { kind: "optional", of: shape } : shape, value, label);
}

/* Return the name of a key, as people read it. */
export function title(key) {
    const words = { http: "HTTP", urls: "URLs" }[key] ?? key.replaceAll("_", " ");
    return words.charAt(0).toUpperCase() + words.slice(1);
}

/* Rows that are added by Enter or a button, and removed by a button. `makeRow(item)` returns { element, json, name }. */
function rowsOf(items, makeRow, label) {
    const box = make("div", { class: "rows-list" });
    const rows = new Map();

    function insert(item, before = null) {
        const row = makeRow(item);
        const remove = button("×", () => {
            const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
            row.element.remove();
            rows.delete(row.element);
            tellOfChange(box);
            if (next) focusFirst(next);
            else add.focus();
        }, { class: "button rows-remove", title: "Remove" });
        const nameButton = () => remove.setAttribute("aria-label", `Remove ${row.name() || "row"} from ${label}`);
        nameButton();
        row.element.addEventListener("input", nameButton);
        row.element.classList.add("rows-row");
        row.element.append(remove);
        rows.set(row.element, row);
        box.insertBefore(row.element, before);
        return row.element;
    }

    const add = button("Add row", () => focusFirst(insert(undefined)), { "aria-label": `Add row: ${label}` });
    box.addEventListener("keydown", (event) => {
        const row = event.target.closest(".rows-row");
        if (event.key !== "Enter" || event.target.nodeName !== "INPUT" || row?.parentElement !== box) return;
        event.preventDefault();
        focusFirst(insert(undefined, row.nextElementSibling));
    });
    items.forEach((item) => insert(item));
    if (items.length === 0) insert(undefined);
    return {
        element: make("div", { class: "rows-table" }, box, add),
        json: (open, close) => enclosed([...box.children].map((element) => rows.get(element).json()), open, close),
    };
}

function enclosed(parts, open, close) {
    const filled = parts.filter((part) => part !== "");
    // Line breaks within strings are escaped, so that each of these begins a line of the text.
    return filled.length === 0 ? "" : `${open}\n  ${filled.join(",\n").replaceAll("\n", "\n  ")}\n${close}`;
}

/* A value that is no list is the only item of one. */
function list(shape, value, label) {
    const items = value === undefined ? [] : [value].flat();
    const rows = rowsOf(items, (item) => {
        const editor = edit(shape.item, item, label);
        const element = make("div", {}, editor.element);
        return { element, json: editor.json, name: () => element.querySelector("input, textarea")?.value };
    }, label);
    return { element: rows.element, json: () => rows.json("[", "]") };
}

/* Names and values. A name may occur twice: the server refuses that, and nothing is lost until then. */
function map(shape, value, label) {
    const rows = rowsOf(Object.entries(value ?? {}), (pair) => {
        const name = nameControl(shape, pair?.[0], `${label}: name`);
        const editor = edit(shape.value, pair?.[1], `${label}: value`);
        const element = make("div", { class: "rows-pair" }, name, editor.element);
        const nameValue = () => {
            const control = editor.element.querySelector("input, textarea");
            control.setAttribute("aria-label", `${label}: value of ${name.value || "the new row"}`);
        };
        nameValue();
        name.addEventListener("input", nameValue);
        if (shape.secrets) hideSecret(shape.secrets, name, editor.element);
        const json = () => {
            const content = editor.json();
            return name.value === "" && content === "" ? "" : `${JSON.stringify(name.value)}: ${content || '""'}`;
        };
        return { element, json, name: () => name.value };
    }, label);
    return { element: rows.element, json: () => rows.json("{", "}") };
}

function nameControl(shape, name, label) {
    const attributes = { class: "rows-name", "aria-label": label };
    const control = shape.names
        ? make("select", attributes, make("option", { value: "" }), ...options(shape.names))
        : make("input", { ...attributes, type: "text", placeholder: "name", spellcheck: "false", autocomplete: "off" });
    control.value = name ?? "";
    return control;
}

/* Known keys, each with a value of its own. With `short`, the value of this key may stand for the object. */
function object(shape, value, label) {
    const isShort = shape.short && value !== undefined && typeof value !== "object";
    const present = isShort ? { [shape.short]: value } : (value ?? {});
    const fields = Object.entries(shape.fields).map(([key, field]) => [key, edit(field, present[key], `${label}: ${title(key)}`)]);
    const parts = fields.map(([key, editor]) => part(title(key), shape.fields[key], editor));
    return {
        element: make("div", { class: "rows-object" }, ...parts),
        json: () => {
            const filled = fields.map(([key, editor]) => [key, editor.json()]).filter(([, content]) => content !== "");
            if (shape.short && filled.length === 1 && filled[0][0] === shape.short) return filled[0][1];
            return enclosed(filled.map(([key, content]) => `${JSON.stringify(key)}: ${content}`), "{", "}");
        },
    };
}

function part(name, shape, editor) {
    const control = editor.element.querySelector("input, textarea, select");
    const isSingle = ["text", "number", "boolean", "choice"].includes(shape.kind);
    if (isSingle) control.id = newId();
    const heading = isSingle ? make("label", { for: control.id }, name) : make("span", { class: "rows-heading" }, name);
    const help = shape.help ? [make("span", { class: "rows-help" }, shape.help.replaceAll("`", ""))] : [];
    return make("div", { class: `rows-part rows-part-${shape.kind}` }, heading, editor.element, ...help);
}

/* One of some objects, chosen by its title, a key that it requires. */
function variants(shape, value, label) {
    const chosen = shape.variants.find((each) => value !== undefined && each.title in value);
    const select = make(
        "select", { "aria-label": label }, make("option", { value: "" }, "none"),
        ...shape.variants.map((each) => make("option", { value: each.title }, title(each.title))),
    );
    select.value = chosen?.title ?? "";
    const element = make("div", { class: "rows-variants" }, select);
    let editor = null;
    const show = (content) => {
        const variant = shape.variants.find((each) => each.title === select.value);
        editor?.element.remove();
        editor = variant ? edit(variant, content, label) : null;
        if (editor) element.append(editor.element);
    };
    show(value);
    select.addEventListener("input", () => {
        const kept = editor ? JSON.parse(editor.json() || "{}") : {};
        const variant = shape.variants.find((each) => each.title === select.value);
        show(Object.fromEntries(Object.entries(kept).filter(([key]) => variant && key in variant.fields)));
        tellOfChange(editor?.element ?? element);
    });
    return { element, json: () => (editor ? editor.json() || "{}" : "") };
}

/* An object that need not be there. */
function optional(shape, value, label) {
    const element = make("div", { class: "rows-optional" });
    let editor = null;
    const show = (content) => {
        editor = content === undefined ? null : edit(shape.of, content, label);
        const change = () => {
            show(editor ? undefined : {});
            tellOfChange(editor?.element ?? element);
            focusFirst(element);
        };
        const word = editor ? "Remove" : "Add";
        const toggle = button(word, change, { "aria-label": `${word} ${label}` });
        element.replaceChildren(...(editor ? [editor.element] : []), toggle);
    };
    show(value);
    return { element, json: () => (editor ? editor.json() || "{}" : "") };
}
