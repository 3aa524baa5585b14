/* One connection to the event stream for each page that is visible.

   Browsers allow six connections to a host over HTTP/1.1, so a page in the background gives its one up. When it is
   shown again, or when a lost connection is back, it refreshes all that it shows. */

const RETRY_MILLISECONDS = 2000;

const onEvent = new Set();
const onRefresh = new Set();
let source = null;
let isWanted = false;
let isStarted = false;

/* Call back with each event, as `GET events` shows it. */
export function subscribe(callback) {
    onEvent.add(callback);
    start();
}

/* Call back when events may have been missed: everything on the page is to be refreshed. */
export function onMissed(callback) {
    onRefresh.add(callback);
}

/* Whether this page may have the events; without them, regions ask every few seconds. */
export function hasEvents() {
    return address() !== null;
}

/* Open the stream now, and whenever the page becomes visible again; a page that subscribes to nothing has none. */
export function connect() {
    isWanted = true;
    start();
}

/* The scripts of a page may subscribe after `connect`. */
function start() {
    if (!isWanted || isStarted || !hasEvents() || onEvent.size === 0) return;
    isStarted = true;
    document.addEventListener("visibilitychange", () => {
        if (document.hidden) close();
        else if (source === null) open();
    });
    if (!document.hidden) open();
}

function address() {
    return document.querySelector("meta[name='daemon-events']")?.content ?? null;
}

function open() {
    source = new EventSource(address());
    source.addEventListener("open", () => {
        refresh(); // what happened since the page was rendered, or while the connection was lost, was missed
        show("open");
    });
    source.addEventListener("state", (message) => {
        const event = JSON.parse(message.data);
        onEvent.forEach((callback) => callback(event));
    });
    source.addEventListener("reset", refresh);
    source.addEventListener("error", () => {
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
