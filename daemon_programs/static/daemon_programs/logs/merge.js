/* The order of lines of both streams: by the time at their beginning, where lines have one. */

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)(?= |$)/;

/* Return the time that a line begins with, in milliseconds; null without one. */
export function timeOf(text) {
    const found = TIME.exec(text);
    return found === null ? null : Date.parse(found[0]);
}

export function hasTimes(entries) {
    return entries.some((entry) => entry.time !== null);
}

/* Return the lines of several streams, each of which is in order, as one: by time if all have times, else one stream
   after the other. A line without a time belongs to the one before it. */
export function merge(streams) {
    const lists = streams.filter((entries) => entries.length > 0);
    if (lists.length < 2 || !lists.every(hasTimes)) return lists.flat();
    const timed = lists.flatMap((entries) => {
        let time = -Infinity;
        return entries.map((entry) => ({ entry, time: (time = Math.max(entry.time ?? time, time)) }));
    });
    return timed.sort((one, other) => one.time - other.time).map(({ entry }) => entry); // a sort keeps equal ones
}

/* Return lines that have come in, in the order of their times; in that of their arrival if a stream has none. */
export function inOrder(entries) {
    const byStream = Map.groupBy(entries, (entry) => entry.stream);
    const streams = [...byStream.values()];
    return streams.length > 1 && streams.every(hasTimes) ? merge(streams) : entries;
}
