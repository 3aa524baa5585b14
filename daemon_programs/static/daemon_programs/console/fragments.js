/* Details whose content is asked for when they are opened, and again whenever the region around them is refreshed.

   <details data-fragment="ADDRESS"><summary>…</summary><div data-keep>what is shown without scripts</div></details> */
import { morph } from "./morph.js";

const asking = new Set();

async function load(details) {
    const place = details.querySelector(":scope > [data-keep]");
    if (!place || asking.has(details)) return;
    asking.add(details);
    try {
        const response = await fetch(details.dataset.fragment, { headers: { Accept: "text/html" } });
        if (!response.ok || response.redirected) return;
        const fragment = document.createElement("template");
        fragment.innerHTML = await response.text();
        morph(place, fragment.content);
    } catch (problem) {
        if (!(problem instanceof TypeError)) throw problem; // the network is down; the banner says so
    } finally {
        asking.delete(details);
    }
}

// `toggle` does not bubble.
document.addEventListener("toggle", ({ target }) => {
    if (target instanceof HTMLDetailsElement && target.open && target.dataset.fragment) load(target);
}, true);
document.addEventListener("refreshed", ({ target }) => {
    target.querySelectorAll("details[data-fragment][open]").forEach(load);
});
