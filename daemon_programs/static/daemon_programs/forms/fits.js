/* Whether rows can show a text of JSON: whether nothing of it would be lost. */

const KEYS = /"(?:[^"\\]|\\.)*"(\s*:)?/gs;

/* Return { value } of a text of JSON, where undefined is an empty text, or { problem }, a sentence. */
export function parse(shape, text) {
    if (text.trim() === "") return { value: undefined };
    let value;
    try {
        value = JSON.parse(text);
    } catch (problem) {
        return { problem: `This is not valid JSON: ${problem.message}` };
    }
    // JSON.parse keeps only the last of equal keys.
    const written = [...text.matchAll(KEYS)].filter(([, colon]) => colon !== undefined).length;
    if (written !== keysIn(value)) return { problem: "This can’t be shown as rows: a key occurs twice." };
    if (!fits(shape, value)) return { problem: "This can’t be shown as rows: it has another form." };
    return { value };
}

function keysIn(value) {
    if (typeof value !== "object" || value === null) return 0;
    const inner = Object.values(value).reduce((sum, each) => sum + keysIn(each), 0);
    return inner + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const FITS = {
    text: (_, value) => typeof value === "string",
    number: (shape, value) => Number.isSafeInteger(value) || (shape.words ?? []).includes(value),
    boolean: (_, value) => typeof value === "boolean",
    choice: (shape, value) => shape.choices.includes(value),
    fixed: (shape, value) => value === shape.value,
    set: (shape, value) => [value].flat().every((each) => typeof each === "string" && isChoice(shape, each)),
    list: (shape, value) => [value].flat().every((each) => fits(shape.item, each)),
    map: (shape, value) => isObject(value) && Object.entries(value).every(
        ([name, each]) => (!shape.names || shape.names.includes(name)) && fits(shape.value, each),
    ),
    object: (shape, value) => (isObject(value)
        ? Object.entries(value).every(([key, each]) => Object.hasOwn(shape.fields, key) && fits(shape.fields[key], each))
        : shape.short !== undefined && fits(shape.fields[shape.short], value)),
    variants: (shape, value) => isObject(value) && shape.variants.some(
        (variant) => Object.hasOwn(value, variant.title) && fits(variant, value),
    ),
};

function fits(shape, value) {
    return FITS[shape.kind](shape, value);
}

function isChoice(shape, value) {
    return ["*", "ALL", ...shape.choices].includes(value.toUpperCase());
}
