/* Parts of a page that the server renders again as they change.

   <div data-live="ADDRESS">              its content is that of ADDRESS, an HTML fragment
        data-live-program="7"             only events of this program concern it
        data-live-temporary="quick_7"     only events of this temporary program, or with "any" of all of them
        data-live-seconds="10"            refresh it also so often, as for figures that no event tells
   Within it, `data-keep` marks elements that scripts fill, and `data-key` tells rows apart.
   A fragment may begin with <template data-title="…">, the new title of the page. */
import { hasEvents, onMissed, subscribe } from "./events.js";
import { morph } from "./morph.js";

const GATHER_MILLISECONDS = 100; // for events that come together, as of a restart
const PAUSE_FACTOR = 4; // a page that is slow to render is asked for less often
const WITHOUT_EVENTS_SECONDS = 5;

class Region {
    constructor(element) {
        this.element = element;
        this.program = element.dataset.liveProgram ?? null;
        this.temporary = element.dataset.liveTemporary ?? null;
        this.isScheduled = false;
        this.isAsking = false;
        this.isStale = false;
        this.tookMilliseconds = 0;
    }

    concerns(event) {
        if (this.temporary === "any") return "temporary_id" in event;
        if (this.temporary !== null) return event.temporary_id === this.temporary;
        return this.program === null || String(event.program_id) === this.program;
    }

    /* Refresh soon: several events lead to one request, and at most one is under way. */
    schedule() {
        if (this.isScheduled || document.hidden) return;
        this.isScheduled = true;
        const pause = Math.max(GATHER_MILLISECONDS, PAUSE_FACTOR * this.tookMilliseconds);
        setTimeout(() => { this.isScheduled = false; this.refresh(); }, pause);
    }

    async refresh() {
        if (this.isAsking) { this.isStale = true; return; }
        this.isAsking = true;
        const began = performance.now();
        try {
            const response = await fetch(this.element.dataset.live, { headers: { Accept: "text/html" } });
            // A session that has ended is led to the login page.
            if (response.ok && !response.redirected) this.show(await response.text());
        } catch (problem) {
            if (!(problem instanceof TypeError)) throw problem; // the network is down; the banner says so
        } finally {
            this.tookMilliseconds = performance.now() - began;
            this.isAsking = false;
        }
        if (this.isStale) { this.isStale = false; this.schedule(); }
    }

    show(html) {
        const fragment = document.createElement("template");
        fragment.innerHTML = html;
        const title = fragment.content.querySelector("template[data-title]");
        if (title) { document.title = title.dataset.title; title.remove(); }
        morph(this.element, fragment.content);
        this.element.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
    }
}

/* Find the regions of the page and keep them up to date. */
export function startRegions() {
    const regions = [...document.querySelectorAll("[data-live]")].map((element) => new Region(element));
    if (regions.length === 0) return;
    subscribe((event) => regions.filter((region) => region.concerns(event)).forEach((region) => region.schedule()));
    onMissed(() => regions.forEach((region) => region.schedule()));
    for (const region of regions) {
        const seconds = hasEvents() ? Number(region.element.dataset.liveSeconds) : WITHOUT_EVENTS_SECONDS;
        if (seconds) setInterval(() => region.schedule(), 1000 * seconds);
    }
}
