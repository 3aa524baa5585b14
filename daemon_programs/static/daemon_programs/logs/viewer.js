/* The viewer of a program's logs: takes lines from the streams, and shows them as its controls say. */
import { Colours } from "./ansi.js";
import { Earlier } from "./earlier.js";
import { Lines } from "./lines.js";
import { inOrder, timeOf } from "./merge.js";
import { Scroll } from "./scroll.js";
import { Search } from "./search.js";
import { listenForShortcuts } from "./shortcuts.js";
import { Source } from "./source.js";
import { element, makeTools } from "./tools.js";

const MAX_LINES = 100_000; // in the view; twice as many while one looks at older ones
const MAX_WAITING = 100_000; // while the view is paused
const FIRST_LINES = { true: 1000, false: 200 }; // on a page of its own, and within another
const FRAME_MILLISECONDS = 8; // of a frame, for new lines
const BATCH_LINES = 100;
const GATHER_MILLISECONDS = 100; // for lines of both streams that belong together
const QUIET_MILLISECONDS = 150; // after which the first lines are complete
const MAX_FIRST_MILLISECONDS = 1500;
const MAX_FETCHES = 50; // of older lines, to go to a time

export class Viewer {
    constructor(root) {
        this.root = root;
        this.isPage = root.classList.contains("log-page");
        this.streams = [...root.querySelectorAll(".log-tail")].map((tail) => ({ tail, ...tail.dataset }));
        this.shown = root.dataset.shown;
        this.tools = makeTools({ streams: this.streams, shown: this.shown, page: root.dataset.page, isPage: this.isPage });
        this.box = element("div", { class: "log-box", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Log lines" });
        this.older = element("button", { type: "button", class: "log-button log-older", hidden: true }, "Earlier lines");
        this.newer = element("button", { type: "button", class: "log-button log-newer", hidden: true });
        this.problem = element("p", { class: "log-problem", role: "alert", hidden: true });
        this.empty = element("p", { class: "quiet log-empty", hidden: true }, "Nothing yet.");
        this.all = new Lines(this.box);
        this.matching = null; // the list of the lines that match, while only these are shown
        this.scroll = new Scroll(this.box);
        this.search = new Search(() => this.showMatches());
        this.sources = [];
    }

    start() {
        this.box.append(this.older, this.empty, this.all.element);
        this.frame = element("div", { class: "log-frame" }, this.box, this.newer);
        this.frame.hidden = true; // until there is something to show in the place of what the server has sent
        this.root.append(this.tools.bar, this.problem, this.frame);
        this.all.onVisible = () => this.paintSoon();
        this.scroll.onChange = () => this.showNewer();
        this.scroll.onTop = () => this.loadEarlier();
        this.older.addEventListener("click", () => this.loadEarlier());
        this.newer.addEventListener("click", () => { this.resume(); this.scroll.toEnd(); this.box.focus(); });
        this.setWrap(localStorage.getItem("log-wrap") !== "no");
        this.listen();
        document.addEventListener("visibilitychange", () => this.updateConnections());
        this.follow();
    }

    get list() {
        return this.matching ?? this.all;
    }

    // The streams

    /* Begin with the chosen streams, from their last lines. */
    follow() {
        this.sources.forEach((source) => source.end());
        this.all.clear();
        this.setFilter(false);
        this.search.set(this.tools.search.value.trim());
        this.colours = new Map();
        this.waiting = [];
        this.firstSince = null; // when the first lines began to come; while they do, nothing is shown
        this.isFirst = true;
        this.unseen = 0;
        this.scroll.isFollowing = true;
        this.problem.hidden = true;
        this.earlier = new Earlier((stream, lines) => {
            const colours = new Colours();
            return lines.map((line) => this.entryOf(stream, line, null, colours));
        });
        const chosen = this.streams.filter(({ stream }) => this.shown === "both" || stream === this.shown);
        this.root.classList.toggle("is-merged", chosen.length > 1);
        this.sources = chosen.map(({ stream, address }) => new Source(stream, address, this));
        this.updateConnections();
        this.showState();
    }

    /* Browsers limit the connections to a host, so a page in the background gives its own up. */
    updateConnections() {
        for (const source of this.sources) {
            if (document.hidden) source.close();
            else source.open(FIRST_LINES[this.isPage]);
        }
    }

    opened(source, { exists, offset }, id) {
        this.problem.hidden = true;
        if (this.earlier.streams.has(source.stream)) return;
        const { earlier, rotated } = this.streams.find(({ stream }) => stream === source.stream);
        const hasMore = earlier !== "" && exists && (offset > 0 || rotated === "yes");
        this.earlier.begin(source.stream, earlier, hasMore ? id : null, hasMore);
        this.schedule();
    }

    line(source, text, id) {
        this.waiting.push({ stream: source.stream, line: text, id });
        if (this.waiting.length > 2 * MAX_WAITING) this.shedWaiting();
        this.schedule();
    }

    separated(source, sentence) {
        this.waiting.push({ stream: source.stream, note: this.sources.length > 1 ? `${source.stream}: ${sentence}` : sentence });
        this.schedule();
    }

    failed(source, sentence) {
        this.problem.textContent = `${source.stream}: ${sentence}.`;
        this.problem.hidden = false;
        this.schedule();
    }

    changed() {
        this.showState();
        this.schedule();
    }

    shedWaiting() {
        const surplus = this.waiting.length - MAX_WAITING;
        this.waiting.splice(0, surplus, { stream: null, note: `${surplus} lines are left out here` });
    }

    // New lines

    schedule() {
        this.lastSign = performance.now();
        this.firstSince ??= this.lastSign;
        if (this.isScheduled || this.isPaused) return;
        this.isScheduled = true;
        const gather = this.isFirst || (this.sources.length > 1 && this.hasTimes);
        if (gather) setTimeout(() => requestAnimationFrame(() => this.showNew()), GATHER_MILLISECONDS);
        else requestAnimationFrame(() => this.showNew());
    }

    showNew() {
        this.isScheduled = false;
        if (this.isPaused) return;
        if (this.isFirst && !this.areFirstComplete()) {
            this.isScheduled = true;
            setTimeout(() => this.showNew(), GATHER_MILLISECONDS);
            return;
        }
        if (this.isFirst) this.showFirst();
        const begun = performance.now();
        const batch = this.hasTimes && this.sources.length > 1 ? 10 * BATCH_LINES : BATCH_LINES;
        while (this.waiting.length > 0 && performance.now() - begun < FRAME_MILLISECONDS) {
            this.append(inOrder(this.waiting.splice(0, batch).map((each) => this.read(each))));
        }
        this.showEmpty();
        this.scroll.settle();
        if (this.waiting.length > 0) {
            this.isScheduled = true;
            requestAnimationFrame(() => this.showNew());
        } else if (this.scroll.isFollowing) {
            requestAnimationFrame(() => this.scroll.settle());
        }
    }

    areFirstComplete() {
        const now = performance.now();
        const isKnown = (source) => this.earlier.streams.has(source.stream) || ["lost", "ended"].includes(source.state);
        const isQuiet = now - this.lastSign > QUIET_MILLISECONDS && this.sources.every(isKnown);
        return isQuiet || now - this.firstSince > MAX_FIRST_MILLISECONDS;
    }

    /* Show the last lines of all streams, in the place of those of the server. */
    showFirst() {
        this.isFirst = false;
        this.streams.forEach(({ tail }) => tail.remove());
        this.frame.hidden = false;
        const entries = this.waiting.splice(0).map((each) => this.read(each));
        const byStream = Map.groupBy(entries, (entry) => entry.stream);
        const ordered = this.sources.map(({ stream }) => [stream, byStream.get(stream) ?? []]);
        this.append(this.earlier.select(ordered));
        this.showOlder();
    }

    read({ stream, line, note, id }) {
        if (note !== undefined) return { isNote: true, stream, text: note, parts: null, time: null, id: null };
        if (!this.colours.has(stream)) this.colours.set(stream, new Colours());
        return this.entryOf(stream, line, id, this.colours.get(stream));
    }

    entryOf(stream, line, id, colours) {
        const { text, parts } = colours.read(line);
        const time = timeOf(text);
        if (time !== null && !this.hasTimes) { this.hasTimes = true; this.tools.jump.hidden = false; }
        return { stream, text, parts, time, id };
    }

    append(entries) {
        this.all.append(entries);
        const found = this.search.added(entries);
        this.matching?.append(found);
        if (!this.scroll.isFollowing) { this.unseen += entries.length; this.showNewer(); }
        this.limit();
        if (found.length > 0) this.paintSoon();
    }

    /* Drop the oldest lines beyond the limit; they can be loaded again as earlier ones. */
    limit() {
        const most = this.scroll.isFollowing ? MAX_LINES : 2 * MAX_LINES;
        if (this.all.entries.length <= most) return;
        while (this.all.entries.length > most) this.drop(this.all.dropFirst());
        this.showOlder();
    }

    drop(entries) {
        this.search.dropped(entries);
        const last = new Map(entries.filter((entry) => !entry.isNote).map((entry) => [entry.stream, entry.id]));
        last.forEach((id, stream) => this.earlier.moveTo(stream, id));
    }

    // Older lines

    async loadEarlier() {
        if (this.isLoading || !this.earlier.hasMore || this.matching) return 0;
        const { earlier } = this;
        this.isLoading = true;
        this.older.textContent = "Loading…";
        try {
            const entries = await earlier.load();
            if (earlier !== this.earlier) return 0; // other streams were chosen meanwhile
            const first = this.all.entries[0];
            this.scroll.keeping(this.all.elements.get(first), () => this.all.prepend(entries));
            this.search.added(entries, true);
            this.paintSoon();
            return entries.length;
        } catch (problem) {
            this.problem.textContent = `${problem.message}.`;
            this.problem.hidden = false;
            return 0;
        } finally {
            this.isLoading = false;
            this.showOlder();
            this.showEmpty();
        }
    }

    async goTo(time) {
        const isBefore = () => this.all.entries.find((entry) => entry.time !== null)?.time > time;
        for (let turn = 0; turn < MAX_FETCHES && isBefore(); turn += 1) if (!(await this.loadEarlier())) break;
        const entry = this.all.entries.find((each) => each.time !== null && each.time >= time) ?? this.all.entries.at(-1);
        if (entry) this.reveal(entry);
    }

    // Controls

    listen() {
        const { tools } = this;
        tools.choice.addEventListener("change", () => this.choose(tools.choice.value));
        tools.search.addEventListener("input", () => this.find(tools.search.value.trim()));
        tools.search.addEventListener("keydown", (event) => {
            if (event.key === "Enter") { event.preventDefault(); this.step(event.shiftKey ? -1 : 1); }
            if (event.key === "Escape") { event.preventDefault(); this.box.focus(); }
        });
        tools.previous.addEventListener("click", () => this.step(-1));
        tools.next.addEventListener("click", () => this.step(1));
        tools.filter.addEventListener("click", () => this.setFilter(!this.matching));
        tools.time.addEventListener("change", () => {
            const time = Date.parse(`${tools.time.value}Z`);
            if (!Number.isNaN(time)) this.goTo(time);
        });
        tools.pause.addEventListener("click", () => (this.isPaused ? this.resume() : this.pause()));
        tools.wrap.addEventListener("click", () => this.setWrap(!this.root.classList.contains("is-wrapped")));
        tools.clear.addEventListener("click", () => this.clear());
        tools.full.addEventListener("click", () => {
            if (document.fullscreenElement) document.exitFullscreen();
            else this.root.requestFullscreen();
        });
        this.root.addEventListener("fullscreenchange", () => {
            press(tools.full, document.fullscreenElement === this.root);
            this.scroll.settle();
        });
        new ResizeObserver(() => this.scroll.settle()).observe(this.box);
        listenForShortcuts(this.root, tools, this.isPage);
    }

    choose(shown) {
        this.shown = shown;
        if (this.isPage) {
            const address = new URL(location.href);
            address.searchParams.set("stream", shown);
            history.replaceState(null, "", address);
        }
        this.resume();
        this.follow();
    }

    pause() {
        this.isPaused = true;
        press(this.tools.pause, true);
        this.showState();
    }

    resume() {
        if (!this.isPaused) return;
        this.isPaused = false;
        press(this.tools.pause, false);
        if (this.waiting.length > MAX_WAITING) this.shedWaiting();
        this.showState();
        this.schedule();
    }

    setWrap(isWrapped) {
        this.root.classList.toggle("is-wrapped", isWrapped);
        press(this.tools.wrap, isWrapped);
        localStorage.setItem("log-wrap", isWrapped ? "yes" : "no");
        this.scroll.settle();
    }

    clear() {
        while (this.all.chunks.length > 0) this.drop(this.all.dropFirst());
        this.matching?.clear();
        this.unseen = 0;
        this.scroll.toEnd();
        this.showOlder();
        this.showEmpty();
    }

    // Search

    async find(text) {
        const isFiltered = this.matching !== null;
        this.setFilter(false);
        this.search.set(text);
        this.showMatches();
        await this.search.look(this.all.entries);
        if (isFiltered && this.search.text === text) this.setFilter(text !== "");
    }

    step(direction) {
        const entry = this.search.step(direction);
        if (entry) this.reveal(entry);
    }

    reveal(entry) {
        const line = this.list.elements.get(entry);
        if (line) this.scroll.to(line);
        this.paintSoon();
    }

    /* Show only the lines that match, in a list of their own; that of all lines goes on out of sight. */
    setFilter(isWanted) {
        if (!isWanted && this.matching === null) return;
        if (isWanted && this.search.pattern !== null) {
            this.matching = new Lines(this.box);
            this.matching.onVisible = () => this.paintSoon();
            this.matching.append(this.search.matches);
            this.box.append(this.matching.element);
        } else if (this.matching) {
            this.matching.clear();
            this.matching.element.remove();
            this.matching = null;
        }
        this.all.element.hidden = this.matching !== null;
        press(this.tools.filter, this.matching !== null);
        this.showOlder();
        const current = this.search.current && this.list.elements.get(this.search.current);
        if (current) this.scroll.to(current);
        else this.scroll.toEnd();
        this.paintSoon();
    }

    paintSoon() {
        if (this.isPainting) return;
        this.isPainting = true;
        requestAnimationFrame(() => { this.isPainting = false; this.search.paint(this.list); });
    }

    // What is told beside the lines

    showMatches() {
        this.tools.count.textContent = this.search.describe();
        this.paintSoon();
    }

    showOlder() {
        this.older.hidden = !this.earlier?.hasMore || this.matching !== null;
        this.older.textContent = "Earlier lines";
    }

    showNewer() {
        if (this.scroll.isFollowing) this.unseen = 0;
        const text = this.unseen === 0 ? "To the end ↓" : `${this.unseen} new ${this.unseen === 1 ? "line" : "lines"} ↓`;
        if (this.newer.textContent !== text) this.newer.textContent = text;
        this.newer.hidden = this.scroll.isFollowing;
    }

    showEmpty() {
        this.empty.hidden = this.all.entries.length > 0 || this.isFirst;
    }

    showState() {
        const states = this.sources.map((source) => source.state);
        const is = (state) => states.includes(state);
        let text = "";
        if (is("lost")) text = "connection lost, reconnecting…";
        else if (states.length > 0 && states.every((state) => state === "ended")) text = this.sources[0].ending;
        else if (this.isPaused) text = "paused";
        else if (is("connecting")) text = "connecting…";
        else if (is("live")) text = "live";
        else if (is("absent")) text = "no log yet";
        if (this.tools.state.textContent !== text) this.tools.state.textContent = text;
    }
}

function press(button, isPressed) {
    button.setAttribute("aria-pressed", String(isPressed));
}
