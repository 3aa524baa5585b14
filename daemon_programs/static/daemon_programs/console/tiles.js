/* Tiles are checkboxes. Here they get what a grid has: arrow keys, a range with Shift, and buttons that select by
   state. One tile of a grid is in the order of Tab, so that a thousand of them don't bar the way. */

const SELECTIONS = [["All", ".tile"], ["Those that run", ".tile[aria-label$=' running']"],
    ["Those that don't", ".tile:not([aria-label$=' running'])"], ["None", null]];
const grids = () => document.querySelectorAll("form:has(.tiles-choose)");
let last = null; // the tile that was clicked last

function prepare(form) {
    const choose = form.querySelector(".tiles-choose");
    if (!choose.firstChild) {
        const count = document.createElement("output");
        choose.append("Select: ", ...SELECTIONS.map(([label, selector]) => button(form, label, selector)), count);
    }
    for (const tiles of form.querySelectorAll(".tiles")) {
        const current = tiles.contains(document.activeElement) ? document.activeElement : tiles.firstElementChild;
        for (const tile of tiles.children) tile.tabIndex = tile === current ? 0 : -1;
    }
    show(form);
}

function button(form, label, selector) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "button";
    made.textContent = label;
    made.addEventListener("click", () => {
        for (const tile of form.querySelectorAll(".tile")) tile.checked = selector !== null && tile.matches(selector);
        show(form);
    });
    return made;
}

function show(form) {
    const number = form.querySelectorAll(".tile:checked").length;
    form.querySelector(".tiles-choose output").textContent = `${number} selected`;
}

function onClick(event) {
    const tile = event.target;
    if (!tile.matches?.("input.tile")) return;
    const tiles = [...tile.form.querySelectorAll(".tile")];
    if (event.shiftKey && last?.form === tile.form) {
        const [first, end] = [tiles.indexOf(last), tiles.indexOf(tile)].sort((one, other) => one - other);
        for (const each of tiles.slice(first, end + 1)) each.checked = tile.checked;
    }
    last = tile;
    show(tile.form);
}

function onKey(event) {
    const tile = event.target;
    if (!tile.matches?.("input.tile")) return;
    if (event.key === "Enter") { event.preventDefault(); tile.click(); return; } // rather than press a button
    const next = neighbour(tile, event.key);
    if (next === undefined) return;
    event.preventDefault();
    if (!next) return;
    tile.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
}

/* The tile that a key leads to; null at an edge, undefined for other keys. */
function neighbour(tile, key) {
    if (key === "ArrowRight") return tile.nextElementSibling;
    if (key === "ArrowLeft") return tile.previousElementSibling;
    if (key === "Home") return tile.parentElement.firstElementChild;
    if (key === "End") return tile.parentElement.lastElementChild;
    if (key !== "ArrowUp" && key !== "ArrowDown") return undefined;
    const tiles = [...tile.parentElement.children];
    const columns = tiles.findIndex((each) => each.offsetTop > tiles[0].offsetTop);
    if (columns < 1) return null;
    return tiles[tiles.indexOf(tile) + (key === "ArrowDown" ? columns : -columns)] ?? null;
}

document.addEventListener("click", onClick);
document.addEventListener("keydown", onKey);
document.addEventListener("refreshed", () => grids().forEach(prepare));
grids().forEach(prepare);
