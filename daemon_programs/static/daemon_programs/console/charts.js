/* Charts of a program's usage: CPU and memory over the last hour or day, one cursor for both.

   <figure class="usage-chart" data-usage="ADDRESS" data-keep hidden>   see usage_chart.html */
import uPlot from "../vendor/uplot/uPlot.esm.js";

const REFRESH_MILLISECONDS = 10_000;
const HEIGHT = 140;
const UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB"]; // of 1024, as Django's filesizeformat
const POWERS_OF_TWO = Array.from({ length: 53 }, (_, power) => 2 ** power);

const charts = new Map(); // by figure

class UsageChart {
    constructor(figure, number) {
        this.figure = figure;
        this.span = "hour";
        this.seconds = 3600;
        this.columns = [[], [], []];
        this.asked = 0;
        figure.hidden = false;
        const sync = `usage-${number}`;
        const plots = figure.querySelector(".usage-plots");
        this.plots = [
            this.plot(plots, sync, 1, "CPU, % of a core", "--usage-cpu", percent, 10, {}),
            this.plot(plots, sync, 2, "Memory", "--usage-memory", bytes, 2 ** 20, { incrs: POWERS_OF_TWO }),
        ];
        figure.querySelector(".usage-spans").addEventListener("click", (event) => {
            const button = event.target.closest("[data-span]");
            if (button) this.choose(button.dataset.span);
        });
        new ResizeObserver(() => this.resize()).observe(plots);
        this.refresh();
    }

    plot(parent, sync, column, title, color, format, least, steps) {
        const box = document.createElement("div");
        box.className = "usage-plot";
        parent.append(box);
        const axis = {
            stroke: () => this.color("--body-quiet-color"),
            grid: { stroke: () => this.color("--hairline-color"), width: 1 },
            ticks: { show: false },
        };
        return new uPlot({
            title,
            width: box.clientWidth,
            height: HEIGHT,
            legend: { show: false },
            cursor: { sync: { key: sync }, drag: { x: false, y: false } },
            hooks: { setCursor: [(plot) => this.showAt(plot.cursor.idx)] },
            scales: {
                x: { range: () => this.range() },
                y: { range: (plot, low, high) => [0, Math.max(high ?? 0, least) * 1.1] },
            },
            axes: [
                { ...axis, size: 28, space: 60, values: (plot, times) => times.map(clockTime) },
                { ...axis, ...steps, size: 70, space: 22, values: (plot, values) => values.map(format) },
            ],
            series: [{}, {
                stroke: () => this.color(color),
                fill: () => `${this.color(color)}22`, // the same, nearly transparent
                width: 1.5,
                points: { size: 3 },
            }],
        }, this.data(column), box);
    }

    data(column) {
        return [this.columns[0], this.columns[column]];
    }

    /* The whole span, also if the program is younger: both charts end now. */
    range() {
        const now = this.columns[0].at(-1) ?? Date.now() / 1000;
        return [now - this.seconds, now];
    }

    color(name) {
        return getComputedStyle(this.figure).getPropertyValue(name).trim();
    }

    choose(span) {
        this.span = span;
        for (const button of this.figure.querySelectorAll("[data-span]")) {
            button.setAttribute("aria-pressed", String(button.dataset.span === span));
        }
        this.refresh();
    }

    async refresh() {
        const address = new URL(this.figure.dataset.usage, location.href);
        address.searchParams.set("span", this.span);
        const number = ++this.asked;
        try {
            const response = await fetch(address, { headers: { Accept: "application/json" } });
            // A session that has ended is led to the login page.
            if (!response.ok || response.redirected) return;
            const answer = await response.json();
            if (number === this.asked) this.show(answer); // not one of another span
        } catch (problem) {
            if (!(problem instanceof TypeError)) throw problem; // the network is down
        }
    }

    show({ seconds, columns }) {
        this.seconds = seconds;
        this.columns = columns;
        this.plots.forEach((plot, index) => plot.setData(this.data(index + 1)));
        this.figure.querySelector("figcaption").textContent = this.summary();
    }

    /* What the charts show, in words. */
    summary() {
        const [, cpu, memory] = this.columns;
        if (!cpu.some((value) => value !== null)) return `No usage was measured in the last ${this.span}.`;
        const highest = (values) => values.reduce((most, value) => Math.max(most, value ?? 0), 0);
        const most = `at most ${percent(highest(cpu))} and ${bytes(highest(memory))} in the last ${this.span}`;
        const now = cpu.at(-1) === null ? "Not running" : `CPU ${percent(cpu.at(-1))}, memory ${bytes(memory.at(-1))}`;
        return `${now}; ${most}.`;
    }

    showAt(index) {
        const at = this.columns[0][index ?? -1];
        const [cpu, memory] = [this.columns[1][index], this.columns[2][index]];
        const figures = cpu === null ? "not running" : `CPU ${percent(cpu ?? 0)}, memory ${bytes(memory ?? 0)}`;
        const text = at === undefined ? "" : `${clockTime(at)}: ${figures}`;
        const line = this.figure.querySelector(".usage-at");
        if (line.textContent !== text) line.textContent = text;
    }

    resize() {
        for (const plot of this.plots) {
            const width = plot.root.parentElement?.clientWidth ?? 0; // it is not on the page once another one replaces it
            if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
        }
    }

    redraw() {
        this.plots.forEach((plot) => plot.redraw());
    }

    close() {
        this.plots.forEach((plot) => plot.destroy());
    }
}

function percent(value) {
    return `${value >= 100 ? Math.round(value) : Math.round(value * 10) / 10} %`;
}

function bytes(value) {
    const unit = Math.min(Math.floor(Math.log2(Math.max(value, 1)) / 10), UNITS.length - 1);
    return `${(value / 1024 ** unit).toFixed(unit ? 1 : 0)} ${UNITS[unit]}`;
}

function clockTime(seconds) {
    return new Date(1000 * seconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

/* Draw the charts that have come onto the page, and forget those that have left it. */
function find() {
    for (const [figure, chart] of charts) {
        if (!figure.isConnected) { chart.close(); charts.delete(figure); }
    }
    for (const figure of document.querySelectorAll(".usage-chart")) {
        if (!charts.has(figure)) charts.set(figure, new UsageChart(figure, charts.size));
    }
}

function refreshAll() {
    if (!document.hidden) charts.forEach((chart) => chart.refresh());
}

find();
document.addEventListener("refreshed", find);
document.addEventListener("visibilitychange", refreshAll);
setInterval(refreshAll, REFRESH_MILLISECONDS);
const redrawAll = () => charts.forEach((chart) => chart.redraw());
new MutationObserver(redrawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
