/* A list of lines as elements: appended, put before the others or dropped, and never written again.

   They are in chunks, of which the browser lays out only those that are near the view (`content-visibility`). */

export const CHUNK_LINES = 200;
const NEAR_END = 2; // chunks that are laid out in any case, so that the end of the list is exact

export class Lines {
    constructor(box) {
        this.element = document.createElement("div");
        this.element.className = "log-lines";
        this.entries = [];
        this.chunks = []; // their elements
        this.elements = new Map(); // of entries
        this.visible = new Set(); // chunks
        this.onVisible = () => {};
        this.observer = new IntersectionObserver((seen) => this.see(seen), { root: box, rootMargin: "200px" });
    }

    append(entries) {
        for (let done = 0; done < entries.length;) {
            let chunk = this.chunks.at(-1);
            if (chunk === undefined || chunk.childElementCount >= CHUNK_LINES) {
                chunk = this.makeChunk();
                this.chunks.push(chunk);
                this.chunks.at(-1 - NEAR_END)?.classList.add("is-far");
                this.element.append(chunk);
            }
            const part = entries.slice(done, done + CHUNK_LINES - chunk.childElementCount);
            this.fill(chunk, part);
            done += part.length;
        }
        for (const entry of entries) this.entries.push(entry);
    }

    prepend(entries) {
        const added = [];
        for (let done = 0; done < entries.length; done += CHUNK_LINES) {
            const chunk = this.makeChunk();
            chunk.classList.add("is-far");
            this.fill(chunk, entries.slice(done, done + CHUNK_LINES));
            added.push(chunk);
        }
        this.element.prepend(...added);
        this.chunks.unshift(...added);
        this.entries.unshift(...entries);
    }

    /* Remove the first chunk, and return its entries. */
    dropFirst() {
        const chunk = this.chunks.shift();
        const dropped = this.entries.splice(0, chunk.childElementCount);
        for (const entry of dropped) this.elements.delete(entry);
        this.observer.unobserve(chunk);
        this.visible.delete(chunk);
        chunk.remove();
        return dropped;
    }

    clear() {
        while (this.chunks.length > 0) this.dropFirst();
    }

    makeChunk() {
        const chunk = document.createElement("div");
        chunk.className = "log-chunk";
        this.observer.observe(chunk);
        return chunk;
    }

    fill(chunk, entries) {
        const made = document.createDocumentFragment();
        for (const entry of entries) {
            const line = lineOf(entry);
            this.elements.set(entry, line);
            made.append(line);
        }
        chunk.append(made);
    }

    see(seen) {
        for (const { target, isIntersecting } of seen) {
            if (isIntersecting && target.isConnected) this.visible.add(target);
            else this.visible.delete(target);
        }
        this.onVisible();
    }
}

function lineOf({ text, parts, stream, isNote }) {
    const line = document.createElement("div");
    line.className = isNote ? "log-note" : `log-line from-${stream}`;
    if (parts) line.append(...parts.map(partOf));
    else if (text === "") line.append(document.createElement("br"));
    else line.append(text);
    return line;
}

function partOf({ text, classes, colour, background }) {
    if (classes.length === 0 && colour === null && background === null) return text;
    const part = document.createElement("span");
    part.className = classes.join(" ");
    part.textContent = text;
    if (colour !== null) { part.classList.add("ansi-rgb-fg"); part.style.setProperty("--rgb-fg", colour); }
    if (background !== null) { part.classList.add("ansi-rgb-bg"); part.style.setProperty("--rgb-bg", background); }
    return part;
}
