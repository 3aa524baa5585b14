/* Count times on once a second, by the server's clock: <time class="since"> as in `uptime`, <time class="ago"> as
   in "3 minutes ago", <time class="until"> down to a time to come (see presentation/times.py). */

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const TEXTS = { since: uptime, ago, until: (passed) => countdown(-passed) };

export function startTimes() {
    const served = Date.parse(document.querySelector("meta[name='daemon-time']")?.content ?? "");
    const ahead = Number.isNaN(served) ? 0 : served - Date.now();
    setInterval(() => { if (!document.hidden) update(Date.now() + ahead); }, 1000);
}

function update(now) {
    for (const [name, inText] of Object.entries(TEXTS)) {
        for (const element of document.querySelectorAll(`time.${name}`)) {
            const text = inText((now - Date.parse(element.dateTime)) / 1000);
            if (element.textContent !== text) element.textContent = text;
        }
    }
}

function uptime(seconds) {
    const whole = Math.max(Math.floor(seconds), 0);
    return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

function countdown(seconds) {
    const whole = Math.max(Math.floor(seconds), 0);
    return whole >= 3600 ? uptime(whole) : `${Math.floor(whole / 60)}:${two(whole % 60)}`;
}

function two(number) {
    return String(number).padStart(2, "0");
}

export function ago(passed) {
    const words = inWords(Math.abs(passed));
    return passed < 0 ? `in ${words}` : `${words} ago`;
}

function inWords(seconds) {
    const unit = UNITS.find(([, size]) => seconds >= size);
    if (!unit) return "less than a second";
    const count = Math.floor(seconds / unit[1]);
    return `${count} ${unit[0]}${count === 1 ? "" : "s"}`;
}
