/* The lines before those that are shown, read from the server when they are asked for.

   Lines of both streams are merged by time. So that none comes too late, lines that are older than the oldest known
   line of the other stream wait until older lines of that stream are known too. */
import { hasTimes, merge } from "./merge.js";

const ENOUGH = 500; // waiting lines of a stream, beyond which no more are read

export class Earlier {
    /* `read` makes lines of a stream of what the server has sent. */
    constructor(read) {
        this.read = read;
        this.streams = new Map();
    }

    /* A stream begins at a position; `hasMore` if there are lines before it. */
    begin(name, address, position, hasMore) {
        this.streams.set(name, { name, address, position, hasMore, waiting: [] });
    }

    /* What is shown of a stream begins after a position now: lines were dropped, or the view was cleared. */
    moveTo(name, position) {
        const stream = this.streams.get(name);
        if (stream) Object.assign(stream, { position, hasMore: position !== null, waiting: [] });
    }

    get hasMore() {
        return [...this.streams.values()].some((stream) => stream.position !== null || stream.waiting.length > 0);
    }

    /* Return what can be shown of the first lines of all streams; the others wait. */
    select(byStream) {
        for (const [name, entries] of byStream) this.streams.get(name)?.waiting.push(...entries);
        return this.take();
    }

    /* Return lines to be shown before all others; none if there are no more. */
    async load() {
        const wanting = [...this.streams.values()].filter((each) => each.position !== null && each.waiting.length < ENOUGH);
        await Promise.all(wanting.map((stream) => this.fetch(stream)));
        return this.take();
    }

    async fetch(stream) {
        const address = new URL(stream.address, location.href);
        address.searchParams.set("before", stream.position);
        const response = await fetch(address, { headers: { Accept: "application/json" } });
        if (!response.ok || response.redirected) throw new Error("Older lines can't be read at the moment");
        const { lines, before } = await response.json();
        stream.waiting.unshift(...this.read(stream.name, lines));
        stream.position = before;
        stream.hasMore = before !== null;
    }

    take() {
        const streams = [...this.streams.values()];
        let since = -Infinity;
        if (streams.length > 1 && streams.every(({ waiting }) => waiting.length === 0 || hasTimes(waiting))) {
            const unfinished = streams.filter(({ hasMore, waiting }) => hasMore && waiting.length > 0);
            since = Math.max(...unfinished.map(({ waiting }) => waiting.find((entry) => entry.time !== null).time));
        }
        return merge(streams.map((stream) => {
            const first = stream.waiting.findIndex((entry) => entry.time !== null && entry.time >= since);
            return since === -Infinity ? stream.waiting.splice(0) : first < 0 ? [] : stream.waiting.splice(first);
        }));
    }
}
