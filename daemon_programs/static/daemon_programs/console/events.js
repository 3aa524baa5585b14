/* One connection to the event stream for each page that is visible.

   Browsers allow six connections to a host over HTTP/1.1, so a page in the background gives its one up. When it is
   shown again, or when a lost connection is back, it refreshes all that it shows. The first connection begins with
   the events since the server has rendered the page. */

const RETRY_MILLISECONDS = 2000;

const onEvent = new Set();
const onRefresh = new Set();
let source = null;
let wasLost = false;
let isFirst = true;

/* Call back with each event, as `GET events` shows it. */
export function subscribe(callback) {
    onEvent.add(callback);
}

/* Call back when events may have been missed: everything on the page is to be refreshed. */
export function onMissed(callback) {
    onRefresh.add(callback);
}

/* Whether this page may have the events; without them, regions ask every few seconds. */
export function hasEvents() {
    return address() !== null;
}

/* Open the stream now, and whenever the page becomes visible again. */
export function connect() {
    if (!hasEvents() || (onEvent.size === 0 && onRefresh.size === 0)) return;
    document.addEventListener("visibilitychange", () => {
        if (document.hidden) close();
        else if (source === null) { open(); refresh(); }
    });
    if (!document.hidden) open();
}

function address() {
    return document.querySelector("meta[name='daemon-events']")?.content ?? null;
}

function open() {
    const stream = new URL(address(), location.href);
    const shown = document.querySelector("meta[name='daemon-events']").dataset.after;
    if (isFirst && shown) stream.searchParams.set("last_event_id", shown);
    isFirst = false;
    source = new EventSource(stream);
    source.addEventListener("open", () => {
        if (wasLost) refresh();
        wasLost = false;
        show("open");
    });
    source.addEventListener("state", (message) => {
        const event = JSON.parse(message.data);
        onEvent.forEach((callback) => callback(event));
    });
    source.addEventListener("reset", refresh);
    source.addEventListener("error", () => {
        wasLost = true;
        show("lost");
        // A browser gives up after a response that is no stream, as of a proxy whose server is away.
        if (source.readyState === EventSource.CLOSED) { close(); setTimeout(reopen, RETRY_MILLISECONDS); }
    });
}

function reopen() {
    if (source === null && !document.hidden) open();
}

function close() {
    source?.close();
    source = null;
}

function refresh() {
    onRefresh.forEach((callback) => callback());
}

function show(connection) {
    document.documentElement.dataset.connection = connection;
    const banner = document.querySelector(".connection");
    if (banner) banner.hidden = connection !== "lost";
}
