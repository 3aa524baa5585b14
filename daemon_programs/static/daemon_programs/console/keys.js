/* Shortcuts of all pages, and the help that tells of them.

   <button data-shortcut="r" title="Restart">    a shortcut of the page, which its own script carries out
   <div data-go="p"><a href="…">                 in the help: `g` and then `p` lead to the address */

const SECOND_KEY_MILLISECONDS = 1500;

export function startKeys() {
    const help = document.querySelector("dialog.shortcuts");
    if (help === null) return;
    const opener = document.querySelector("button.shortcuts-help"); // some pages have no links in their header
    opener?.addEventListener("click", () => show(help));
    if (opener) opener.hidden = false;
    let wentAt = -Infinity;
    document.addEventListener("keydown", (event) => {
        if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
        const isSecond = event.timeStamp - wentAt < SECOND_KEY_MILLISECONDS;
        wentAt = -Infinity;
        if (isSecond && go(help, event.key)) event.preventDefault();
        else if (event.key === "g") wentAt = event.timeStamp;
        else if (event.key === "?") { event.preventDefault(); show(help); }
        else if (event.key === "/") search(event);
    });
}

/* Whether keys are meant for a field. */
export function isTyping(element) {
    return element.matches("input:not([type=checkbox], [type=submit], [type=button]), textarea, select, [contenteditable]");
}

function go(help, key) {
    const link = [...help.querySelectorAll("[data-go]")].find((line) => line.dataset.go === key)?.querySelector("a");
    link?.click();
    return link !== undefined;
}

/* A page with a search of its own has a shortcut for it. */
function search(event) {
    const field = document.getElementById("searchbar");
    if (field === null) return;
    event.preventDefault();
    field.focus();
}

function show(help) {
    if (help.open) return;
    const section = help.querySelector("section");
    const lines = new Map(ofPage().map((element) => [element.dataset.shortcut, element.title]));
    section.querySelector("dl").replaceChildren(...[...lines].map(([key, title]) => line(key, title)));
    section.hidden = lines.size === 0;
    help.showModal();
}

function ofPage() {
    const own = [...document.querySelectorAll("[data-shortcut]")];
    const searchbar = document.getElementById("searchbar");
    if (searchbar === null || own.some((element) => element.dataset.shortcut === "/")) return own;
    return [{ dataset: { shortcut: "/" }, title: "Search" }, ...own];
}

function line(key, title) {
    const group = document.createElement("div");
    const term = document.createElement("dt");
    const name = document.createElement("kbd");
    const meaning = document.createElement("dd");
    name.textContent = key;
    meaning.textContent = title;
    term.append(name);
    group.append(term, meaning);
    return group;
}
