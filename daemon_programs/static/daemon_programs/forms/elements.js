/* Elements, made in one expression. Text from outside goes into text nodes and attributes only. */

let lastId = 0;

/* Return an id that nothing else on the page has. */
export function newId() {
    lastId += 1;
    return `rows-${lastId}`;
}

/* Return an element with attributes (true: without a value; undefined, null and false: none) and children. */
export function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === true) element.setAttribute(name, "");
        else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

/* Return a button that does not submit the form. */
export function button(text, onClick, attributes = {}) {
    const made = make("button", { type: "button", class: "button", ...attributes }, text);
    made.addEventListener("click", onClick);
    return made;
}

/* Focus the first control within an element. */
export function focusFirst(element) {
    element.querySelector("input, textarea, select, button")?.focus();
}

/* Tell the editors around an element that it has changed, as typing does. */
export function tellOfChange(element) {
    element.dispatchEvent(new Event("input", { bubbles: true }));
}
