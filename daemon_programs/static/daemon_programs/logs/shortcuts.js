/* The keys of a log viewer, while no field has the focus: those in the `data-shortcut` of its controls. */

export function listenForShortcuts(root, tools, isPage) {
    const acts = {
        "/": () => tools.search.focus(),
        w: () => tools.wrap.click(),
        p: () => tools.pause.click(),
        f: () => tools.full.click(),
    };
    document.addEventListener("keydown", (event) => {
        if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return;
        const isInside = root.contains(event.target);
        // Space scrolls pages and presses buttons, so it pauses only where it would scroll the log.
        const isSpace = event.key === " " && (isInside || isPage) && !event.target.closest("button, a, summary");
        const act = isSpace ? acts.p : acts[event.key];
        if (!act) return;
        event.preventDefault();
        act();
    });
}

function isField(target) {
    return target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;
}
