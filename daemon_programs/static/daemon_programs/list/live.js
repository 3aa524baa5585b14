/* The rows of the list and the counts by state, brought up to date as events come in. Only rows that an event
   concerns are asked for, and they stay where they are: one that would have to move or to leave is told of. */
import { hasEvents, onMissed, subscribe } from "../console/events.js";
import { morph } from "../console/morph.js";

const GATHER_MILLISECONDS = 150; // for events that come together
const PAUSE_FACTOR = 4; // while many events come in, most of the time is left to other requests
const LONGEST_PAUSE_MILLISECONDS = 2000;
const USAGE_SECONDS = 10; // for CPU and memory, of which no event tells
const WITHOUT_EVENTS_SECONDS = 5;
const MOST_ROWS = 100; // of one request

let list = null;

export function startLive(table) {
    list = new List(table);
    subscribe((event) => list.mark([String(event.program_id)]));
    onMissed(refreshAll);
    setInterval(() => list.mark(list.visibleIds()), 1000 * (hasEvents() ? USAGE_SECONDS : WITHOUT_EVENTS_SECONDS));
}

/* Bring all rows of this page up to date, as after a verb that leads to no event. */
export function refreshAll() {
    list?.mark(list.ids());
}

class List {
    constructor(table) {
        this.table = table;
        this.rows = new Map();
        this.standings = new Map(); // as the page was loaded, when its order was right
        for (const row of table.tBodies[0].rows) {
            this.rows.set(row.dataset.key, row);
            this.standings.set(row.dataset.key, row.dataset.standing);
        }
        this.marked = new Set();
        this.isScheduled = false;
        this.isAsking = false;
        this.isStale = false; // something was marked that has not been asked for
        this.tookMilliseconds = 0;
    }

    ids() {
        return [...this.rows.keys()];
    }

    visibleIds() {
        const isVisible = ({ top, bottom }) => bottom > 0 && top < window.innerHeight;
        return this.ids().filter((id) => isVisible(this.rows.get(id).getBoundingClientRect()));
    }

    /* Ask for rows soon. Programs of other pages change the counts only. */
    mark(ids) {
        if (document.hidden) return; // the page is refreshed when it is shown again
        ids.forEach((id) => this.marked.add(id));
        if (this.isAsking) this.isStale = true;
        if (this.isScheduled || this.isAsking) return;
        this.isScheduled = true;
        const wished = Math.max(GATHER_MILLISECONDS, PAUSE_FACTOR * this.tookMilliseconds);
        const pause = Math.min(wished, LONGEST_PAUSE_MILLISECONDS);
        setTimeout(() => { this.isScheduled = false; this.refresh(); }, pause);
    }

    async refresh() {
        const marked = [...this.marked];
        const asked = marked.filter((id) => this.rows.has(id)).slice(0, MOST_ROWS);
        this.marked = new Set(marked.filter((id) => this.rows.has(id)).slice(MOST_ROWS));
        this.isStale = this.marked.size > 0;
        const query = new URLSearchParams(location.search);
        asked.forEach((id) => query.append("id", id));
        this.isAsking = true;
        const began = performance.now();
        try {
            const response = await fetch(`${this.table.dataset.rows}?${query}`, { headers: { Accept: "text/html" } });
            // A session that has ended is led to the login page.
            if (response.ok && !response.redirected) this.show(await response.text(), asked);
        } catch (problem) {
            if (!(problem instanceof TypeError)) throw problem; // the network is down; the banner says so
        } finally {
            this.tookMilliseconds = performance.now() - began;
            this.isAsking = false;
        }
        if (this.isStale) { this.isStale = false; this.mark([]); }
    }

    show(html, asked) {
        const fragment = document.createElement("template");
        fragment.innerHTML = html;
        const content = fragment.content;
        document.title = content.querySelector("template[data-title]").dataset.title;
        const counts = document.querySelector(".state-filter .states");
        if (counts) morph(counts, content.querySelector(".states"));
        const changed = new Map([...content.querySelectorAll("tr")].map((row) => [row.dataset.key, row]));
        asked.forEach((id) => this.showRow(id, changed.get(id)));
    }

    showRow(id, wanted) {
        const row = this.rows.get(id);
        if (!wanted) { // it was deleted
            row.remove();
            this.rows.delete(id);
            return;
        }
        row.dataset.standing = wanted.dataset.standing;
        morph(row, wanted);
        if ("dependsOnState" in this.table.dataset && row.dataset.standing !== this.standings.get(id)) {
            document.querySelector(".order-changed").hidden = false;
        }
    }
}
