/* Complete what is typed from a list that the server has: only what fits is asked for, and only when it is needed. */
import { make, newId } from "./elements.js";

const PAUSE_MILLISECONDS = 150;

/* Give a control suggestions from an address, which answers `?q=` with { names }. */
export function suggest(control, address) {
    const list = make("datalist", { id: newId() });
    let asked = null;
    let timer = null;

    const ask = async () => {
        const typed = control.value;
        if (typed === asked) return;
        asked = typed;
        const response = await fetch(`${address}?${new URLSearchParams({ q: typed })}`).catch(() => null);
        if (!response?.ok || response.redirected || control.value !== typed) return;
        const { names } = await response.json();
        list.replaceChildren(...names.map((name) => make("option", { value: name })));
        if (!list.isConnected) control.after(list);
        control.setAttribute("list", list.id);
    };
    control.addEventListener("focus", ask);
    control.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(ask, PAUSE_MILLISECONDS);
    });
}
