/* Shortcuts of the list: `/` searches, `j` and `k` move over the programs, `x` selects one, Enter opens it. The
   moving is of the focus, on the link of each row, so the browser itself does the opening. */

export function startKeys(table) {
    const actions = {
        "/": () => document.getElementById("searchbar")?.select(), // it gets the focus, too
        j: () => move(table, 1),
        k: () => move(table, -1),
        x: () => focusedRow()?.querySelector("input.action-select")?.click(),
    };
    document.addEventListener("keydown", (event) => {
        const action = actions[event.key];
        if (!action || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
        event.preventDefault();
        action();
    });
}

function move(table, step) {
    const rows = [...table.tBodies[0].rows];
    const present = rows.indexOf(focusedRow());
    const next = present === -1 ? rows[step > 0 ? 0 : rows.length - 1] : rows[present + step];
    next?.querySelector(".row-link").focus();
}

function focusedRow() {
    return document.activeElement?.closest("#result_list tbody tr") ?? null;
}

function isTyping(element) {
    return element.matches("input:not([type=checkbox], [type=submit]), textarea, select, [contenteditable]");
}
