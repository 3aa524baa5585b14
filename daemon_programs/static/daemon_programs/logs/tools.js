/* The controls of a log viewer. Shortcuts stand in `data-shortcut` and in the titles. */

export function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (value === true) made.setAttribute(key, "");
        else if (value !== false && value !== null) made.setAttribute(key, value);
    }
    made.append(...content);
    return made;
}

function button(name, label, title, shortcut = null, more = {}) {
    const described = shortcut === null ? title : `${title} (${shortcut})`;
    return element(
        "button",
        { type: "button", class: "log-button", name, title: described, "data-shortcut": shortcut, ...more },
        label,
    );
}

const toggle = { "aria-pressed": "false" };

/* Return the controls by name, and `bar`, the element that has them all. */
export function makeTools({ streams, shown, page, isPage }) {
    const choice = element("select", { name: "log-stream", "aria-label": "Stream" });
    for (const value of ["both", ...streams.map(({ stream }) => stream)]) {
        choice.append(element("option", { value, selected: value === shown }, value));
    }
    const tools = {
        choice,
        search: element("input", {
            type: "search", name: "log-search", class: "log-search", placeholder: "Search", autocomplete: "off",
            "aria-label": "Search the log", title: "Search the log (/)", "data-shortcut": "/",
        }),
        count: element("span", { class: "log-count quiet", role: "status" }),
        previous: button("previous", "↑", "Previous match", "Shift+Enter", { "aria-label": "Previous match" }),
        next: button("next", "↓", "Next match", "Enter", { "aria-label": "Next match" }),
        filter: button("filter", "Only matches", "Show only lines that match", null, toggle),
        time: element("input", {
            type: "datetime-local", step: "1", name: "log-time", "aria-label": "Go to a time (UTC)",
            title: "Go to a time (UTC)",
        }),
        pause: button("pause", "Pause", "Pause or resume", "p", toggle),
        wrap: button("wrap", "Wrap", "Wrap long lines", "w", toggle),
        clear: button("clear", "Clear", "Clear the view; the log stays"),
        full: button("full", "Full screen", "Full screen", "f", toggle),
        state: element("span", { class: "log-state", role: "status" }),
    };
    tools.jump = element("span", { class: "log-group", hidden: true }, tools.time);
    // The log of another host has no copy here, and no page of its own.
    const copies = streams.filter(({ download }) => download !== "");
    tools.downloads = element(
        "span", { class: "log-group", hidden: copies.length === 0 }, "Download ",
        ...copies.map(({ stream, download }) => element("a", { href: download, "aria-label": `Download ${stream}` }, stream)),
    );
    tools.bar = element(
        "div", { class: "log-tools", role: "toolbar", "aria-label": "Log" },
        choice,
        element("span", { class: "log-group" }, tools.search, tools.previous, tools.next, tools.filter, tools.count),
        tools.jump,
        element("span", { class: "log-group" }, tools.pause, tools.wrap, tools.clear, tools.full),
        tools.downloads,
        ...(isPage || page === "" ? [] : [element("a", { href: page, class: "log-open" }, "Open log")]),
        tools.state,
    );
    return tools;
}
