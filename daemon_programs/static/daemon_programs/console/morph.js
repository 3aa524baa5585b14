/* Make the content of an element equal to other content by changing what differs only, so that focus, a selection
   of text, folded details and what scripts have filled (`data-keep`) are kept. */

export function morph(target, source) {
    const keyed = new Map();
    for (const child of target.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
    let present = target.firstChild;
    for (const wanted of [...source.childNodes]) {
        const same = wanted.dataset?.key ? keyed.get(wanted.dataset.key) : present;
        if (same && isAlike(same, wanted)) {
            if (same === present) present = present.nextSibling;
            else target.insertBefore(same, present);
            change(same, wanted);
        } else {
            target.insertBefore(wanted, present);
        }
    }
    while (present) {
        const next = present.nextSibling;
        present.remove();
        present = next;
    }
}

function isAlike(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;
}

function change(present, wanted) {
    if (present.nodeType !== Node.ELEMENT_NODE) {
        if (present.nodeValue !== wanted.nodeValue) present.nodeValue = wanted.nodeValue;
        return;
    }
    if ("keep" in present.dataset) return;
    for (const { name } of [...present.attributes]) {
        if (!wanted.hasAttribute(name) && !isUsersOwn(present, name)) present.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
        if (present.getAttribute(name) !== value && !isUsersOwn(present, name)) present.setAttribute(name, value);
    }
    // What is typed or chosen here stays.
    if (!present.matches("input, textarea, select")) morph(present, wanted);
}

/* Whether details are folded is for the user to say. */
function isUsersOwn(element, attribute) {
    return element.nodeName === "DETAILS" && attribute === "open";
}
