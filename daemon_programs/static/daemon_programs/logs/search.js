/* Find lines by a text. Matches are painted as highlights, which leave elements and selections as they are. */

const BUDGET_MILLISECONDS = 8; // of a task; the rest follows in others
const MATCH = "log-match";
const CURRENT = "log-match-current";

export class Search {
    /* `changed` is called when the count or the current match has changed. */
    constructor(changed) {
        this.changed = changed;
        this.set("");
    }

    set(text) {
        this.text = text;
        this.pattern = text === "" ? null : new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "iu");
        this.matches = [];
        this.current = null;
        this.turn = Symbol("a search"); // the one under way ends when this changes
    }

    matchesEntry(entry) {
        return this.pattern !== null && !entry.isNote && this.pattern.test(entry.text);
    }

    /* Look through lines that are there already; those of later calls of `added` come after them. */
    async look(entries) {
        const turn = this.turn;
        const found = [];
        const given = [...entries];
        let begun = performance.now();
        for (const entry of given) {
            if (this.matchesEntry(entry)) found.push(entry);
            if (performance.now() - begun > BUDGET_MILLISECONDS) {
                await new Promise((resolve) => setTimeout(resolve));
                if (this.turn !== turn) return [];
                begun = performance.now();
            }
        }
        this.matches = [...found.filter((entry) => !entry.isDropped), ...this.matches];
        this.changed();
        return found;
    }

    added(entries, isBefore = false) {
        if (this.pattern === null) return [];
        const found = entries.filter((entry) => this.matchesEntry(entry));
        if (isBefore) this.matches.unshift(...found);
        else for (const entry of found) this.matches.push(entry);
        if (found.length > 0) this.changed();
        return found;
    }

    dropped(entries) {
        for (const entry of entries) entry.isDropped = true;
        const kept = this.matches.findIndex((entry) => !entry.isDropped);
        if (kept !== 0) this.matches.splice(0, kept < 0 ? this.matches.length : kept);
        if (this.current?.isDropped) this.current = null;
    }

    /* Make the next or the previous match the current one, beginning with the newest, and return it. */
    step(direction) {
        const { matches } = this;
        if (matches.length === 0) return null;
        const at = this.current === null ? -1 : matches.indexOf(this.current);
        const next = at < 0 ? matches.length - 1 : (at + direction + matches.length) % matches.length;
        this.current = matches[next];
        this.changed();
        return this.current;
    }

    describe() {
        if (this.pattern === null) return "";
        const count = this.matches.length;
        if (count === 0) return "no match";
        const at = this.current === null ? -1 : this.matches.indexOf(this.current);
        return at < 0 ? `${count} ${count === 1 ? "line" : "lines"}` : `${at + 1} of ${count}`;
    }

    /* Highlight what is near the view. */
    paint(list) {
        if (!("highlights" in CSS)) return;
        const marked = new Highlight();
        const current = new Highlight();
        const currentLine = this.current && list.elements.get(this.current);
        if (this.pattern !== null) {
            for (const chunk of list.visible) {
                for (const line of chunk.children) {
                    if (line.className === "log-note") continue;
                    rangesIn(line, this.pattern).forEach((range) => (line === currentLine ? current : marked).add(range));
                }
            }
        }
        current.priority = 1;
        CSS.highlights.set(MATCH, marked);
        CSS.highlights.set(CURRENT, current);
    }
}

function rangesIn(line, pattern) {
    const text = line.textContent;
    if (!pattern.test(text)) return [];
    const nodes = [];
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let offset = 0; walker.nextNode(); offset += walker.currentNode.length) {
        nodes.push({ node: walker.currentNode, offset });
    }
    const place = (position) => {
        const { node, offset } = nodes.findLast((each) => each.offset <= position);
        return [node, position - offset];
    };
    return [...text.matchAll(new RegExp(pattern.source, "giu"))].map((match) => {
        const range = document.createRange();
        range.setStart(...place(match.index));
        range.setEnd(...place(match.index + match[0].length));
        return range;
    });
}
