/* Editors of single values: text, numbers, choices. See editors.js for what an editor is. */
import { make, newId, tellOfChange } from "./elements.js";
import { suggest } from "./suggestions.js";

const WHOLE_NUMBER = /^-?(0|[1-9][0-9]*)$/;

/* A value with line breaks gets a text area; text that is pasted with line breaks too, where they are allowed. */
export function text(shape, value, label) {
    let control = textControl(shape, value ?? "", label);
    const element = make("span", { class: "rows-value" }, control);
    element.addEventListener("paste", (event) => {
        const pasted = event.clipboardData?.getData("text") ?? "";
        if (!shape.lines || control.nodeName !== "INPUT" || !/[\r\n]/.test(pasted)) return;
        event.preventDefault();
        const { value: before, selectionStart, selectionEnd } = control;
        const area = textControl(
            shape, before.slice(0, selectionStart) + pasted + before.slice(selectionEnd), label, /* hasLines */ true,
        );
        area.className = control.className;
        control.replaceWith(area);
        control = area;
        control.focus();
        tellOfChange(control);
    });
    return { element, json: () => (control.value === "" ? "" : JSON.stringify(control.value)) };
}

function textControl(shape, value, label, hasLines = /[\r\n]/.test(value)) {
    const attributes = { "aria-label": label, spellcheck: "false", autocomplete: "off" };
    const control = hasLines
        ? make("textarea", { ...attributes, rows: Math.min(value.split("\n").length, 10) })
        : make("input", { ...attributes, type: "text", placeholder: shape.default });
    control.value = value;
    if (shape.suggestions && !hasLines) suggest(control, shape.suggestions);
    return control;
}

/* What is no whole number is written as text, so that the server's sentence says what is wrong with it. */
export function number(shape, value, label) {
    const list = shape.words && make("datalist", { id: newId() }, ...shape.words.map((word) => make("option", { value: word })));
    const control = make("input", {
        type: "text", inputmode: shape.words ? undefined : "numeric", class: "rows-number", "aria-label": label,
        placeholder: shape.default, list: list?.id, autocomplete: "off", spellcheck: "false",
    });
    control.value = value ?? "";
    const read = (typed) => (WHOLE_NUMBER.test(typed) && Number.isSafeInteger(Number(typed)) ? typed : JSON.stringify(typed));
    return {
        element: make("span", { class: "rows-value" }, control, ...(list ? [list] : [])),
        json: () => (control.value.trim() === "" ? "" : read(control.value.trim())),
    };
}

export function boolean(shape, value, label) {
    const control = make("input", { type: "checkbox", "aria-label": label });
    control.checked = value ?? shape.default ?? false;
    return { element: make("span", { class: "rows-value" }, control), json: () => String(control.checked) };
}

/* With a default, leaving the choice empty means it. */
export function choice(shape, value, label) {
    const none = shape.default === undefined ? "" : `default: ${shape.default}`;
    const control = make("select", { "aria-label": label }, make("option", { value: "" }, none), ...options(shape.choices));
    control.value = value ?? "";
    return {
        element: make("span", { class: "rows-value" }, control),
        json: () => (control.value === "" ? "" : JSON.stringify(control.value)),
    };
}

/* Return the options of a selection. */
export function options(choices) {
    return choices.map((each) => make("option", { value: each }, each));
}

export function fixed(shape) {
    return { element: make("span"), json: () => JSON.stringify(shape.value) };
}

/* Some of the choices, as boxes. A value that is no list is one item; `*` and `all` mean all of them. */
export function set(shape, value, label) {
    const chosen = [value ?? shape.default ?? []].flat().map((each) => each.toUpperCase());
    const isAll = chosen.includes("*") || chosen.includes("ALL");
    const boxes = shape.choices.map((each) => {
        const box = make("input", { type: "checkbox", value: each });
        box.checked = isAll || chosen.includes(each);
        return box;
    });
    const labels = boxes.map((box) => make("label", {}, box, ` ${box.value}`));
    return {
        element: make("span", { class: "rows-set", role: "group", "aria-label": label }, ...labels),
        json: () => JSON.stringify(boxes.filter((box) => box.checked).map((box) => box.value)),
    };
}
